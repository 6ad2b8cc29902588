"""Start a fake: ``run.py NAME ARGUMENTS``. Which module has it is found by its name."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import czii
import fake_cryocare
import fake_ctffind
import fake_isonet
import fake_membrain
import fake_pickers
import fake_pytom
import fake_tomodrgn
import fake_topaz

name, arguments = sys.argv[1], sys.argv[2:]
PROGRAMS = {
    "MotionCor3": czii.motioncor3,
    "AreTomo2": czii.aretomo2,
    "AreTomo3": czii.aretomo3,
    "topaz": fake_topaz.topaz,
    "membrain": fake_membrain.membrain,
    "isonet.py": fake_isonet.isonet,
    "isonet2.py": fake_isonet.isonet2,
    "pytom_match_template.py": fake_pytom.pytom_match,
    "pytom_extract_candidates.py": fake_pytom.pytom_extract,
    "python": fake_pickers.python,
    "tomodrgn": fake_tomodrgn.tomodrgn,
    "ctffind": fake_ctffind.ctffind,
    **{
        name: fake_cryocare.cryocare(name)
        for name in ("cryoCARE_extract_train_data.py", "cryoCARE_train.py", "cryoCARE_predict.py")
    },
}
PROGRAMS[name](arguments)
