"""MotionCor3 1.2.1, AreTomo2 1.1.3 and AreTomo3 2.3.1: their parser, made strict, and the set of files they write.

The real parser (class CParseArgs) compares tags without case, takes the first occurrence, ignores unknown tags, ends a
list at ``-`` and a letter, lets a string tag swallow whatever comes next, reads numbers with sscanf. All that it would
misread is refused here.
"""

import math
import os
import re
import sys
from pathlib import Path

import fake

S, I, F = "string", "int", "float"  # noqa: E741 - the three kinds of tag
MOTIONCOR3 = {
    **dict.fromkeys(
        ("InMrc", "InTiff", "InEer", "InSuffix", "InSkips", "OutMrc", "ArcDir", "FullSum", "Gain", "Dark", "DefectFile",
         "DefectMap", "TmpFile", "LogDir", "InAln", "OutAln", "FmIntFile"), (S, 1, 1)),
    **dict.fromkeys(
        ("Iter", "PhaseOnly", "kV", "Align", "Throw", "Trunc", "FmRef", "Serial", "RotGain", "FlipGain", "InvGain",
         "InFmMotion", "SplitSum", "EerSampling", "OutStar", "TiffOrder", "CorrInterp", "UseGpus"), (I, 1, 1)),
    "Patch": (I, 2, 3), "Group": (I, 1, 2), "OutStack": (I, 1, 2), "Crop": (I, 2, 2), "Gpu": (I, 1, 99),
    **dict.fromkeys(
        ("Tol", "FtBin", "InitDose", "FmDose", "PixSize", "Cs", "AmpCont", "ExtPhase", "GpuMemUsage"), (F, 1, 1)),
    "Bft": (F, 1, 2), "SumRange": (F, 2, 2), "Tilt": (F, 2, 2), "Mag": (F, 3, 3),
}  # fmt: skip
ARETOMO2 = {
    **dict.fromkeys(("InMrc", "OutMrc", "AlnFile", "AngFile", "RoiFile", "TmpFile", "LogFile"), (S, 1, 1)),
    **dict.fromkeys(("AlignZ", "VolZ", "FlipVol", "FlipInt", "Wbp", "OutXF", "Align", "OutImod", "IntpCor"), (I, 1, 1)),
    "Sart": (I, 2, 2), "Patch": (I, 2, 2), "CropVol": (I, 2, 2), "Gpu": (I, 1, 99),
    **dict.fromkeys(("OutBin", "PixSize", "Kv", "Cs", "AmpContrast", "ImgDose", "DarkTol"), (F, 1, 1)),
    "TiltRange": (F, 2, 2), "TiltAxis": (F, 1, 2), "TiltCor": (F, 1, 2), "ReconRange": (F, 2, 2),
    "ExtPhase": (F, 1, 2), "TiltScheme": (F, 3, 3), "Bft": (F, 1, 2),
}  # fmt: skip
ARETOMO3 = {
    **dict.fromkeys(
        ("InPrefix", "InSuffix", "InSkips", "OutDir", "TmpDir", "LogDir", "Gain", "Dark", "DefectFile"), (S, 1, 1)),
    **dict.fromkeys(
        ("kV", "Serial", "Cmd", "Resume", "SplitSum", "EerSampling", "McIter", "FmInt", "FmRef", "RotGain", "FlipGain",
         "InvGain", "InFmMotion", "TiffOrder", "AlignZ", "VolZ", "ExtZ", "FlipVol", "FlipInt", "Wbp", "OutXF", "Align",
         "OutImod", "IntpCor"), (I, 1, 1)),
    "McPatch": (I, 2, 3), "Group": (I, 1, 2), "Throw": (I, 1, 2), "Sart": (I, 2, 2), "AtPatch": (I, 2, 2),
    "CropVol": (I, 2, 2), "CorrCTF": (I, 1, 2), "Gpu": (I, 1, 99),
    **dict.fromkeys(
        ("PixSize", "Cs", "FmDose", "McTol", "McBin", "TotalDose", "AmpContrast", "DarkTol"), (F, 1, 1)),
    "TiltAxis": (F, 1, 2), "AtBin": (F, 1, 3), "TiltCor": (F, 1, 2), "ReconRange": (F, 2, 2), "ExtPhase": (F, 1, 2),
    "Mag": (F, 3, 3),
}  # fmt: skip
_TAG = re.compile(r"-[A-Za-z]")
_INT, _FLOAT = re.compile(r"[+-]?\d+"), re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def parse(arguments: list[str], tags: dict[str, tuple[str, int, int]], commas: bool) -> dict[str, list[str]]:
    """Return the values of each tag; exit where the real parser would misread one."""
    known = {name.lower(): name for name in tags}
    found: dict[str, list[str]] = {}
    position = 0
    while position < len(arguments):
        word = arguments[position]
        if len(os.fsencode(word)) > 255:
            fake.strict(f"{len(os.fsencode(word))} bytes overrun a 256-byte array: {word[:40]}…")
        if not _TAG.match(word):
            fake.strict(f"'{word}' belongs to no tag")
        name = known.get(word[1:].lower())
        if name is None:
            fake.strict(f"unknown tag {word}, which the real one ignores")
        if name in found:
            fake.strict(f"{word} twice: the first wins")
        kind, least, most = tags[name]
        values: list[str] = []
        position += 1
        if kind == S:  # takes the next word whatever it is
            if position >= len(arguments) or _TAG.match(arguments[position]):
                fake.strict(f"{word} swallows the next tag")
            values, position = [arguments[position]], position + 1
        else:
            while position < len(arguments) and not _TAG.match(arguments[position]):
                values.append(arguments[position])
                position += 1
            if commas and kind == I:
                values = [part for value in values for part in re.split("[, ]", value) if part]
            for value in values:
                if not (_INT if kind == I else _FLOAT).fullmatch(value):
                    fake.strict(f"{word} {value}: read by sscanf as something else")
        if not least <= len(values) <= most:
            fake.strict(f"{word} has {len(values)} values; {least} to {most} are read")
        for value in values:
            if len(os.fsencode(value)) > 255:
                fake.strict(f"{word}: a path of {len(os.fsencode(value))} bytes overruns a 256-byte array")
        found[name] = values
    return found


def stem(path: str) -> str:
    """Cut a path at the first ``.mrc`` or ``.st`` anywhere in it, as the real ones do."""
    places = [place for place in (path.find(".mrc"), path.find(".st")) if place >= 0]
    if places and min(places) + max(4, 3) < len(path) and "/" in path[min(places) :]:
        fake.strict(f"{path} is cut at '{path[: min(places)]}'")
    return path[: min(places)] if places else path


def check_gpus(found: dict[str, list[str]], code: int) -> None:
    """See that the devices are there: numbered from 0 among the visible ones."""
    visible = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    if not visible or any(int(one) >= len(visible) for one in found.get("Gpu", ["0"])):
        print("mCheckGPUs: no valid device detected.", file=sys.stderr)
        sys.exit(code)


def end() -> None:
    """Say the last words."""
    if fake.writes():
        print("Total time: 1.2 sec")
    sys.exit(0)


def frames_of(path: str) -> tuple[int, int, int]:
    """Return the frames, rows and columns of a movie (MRC only here)."""
    return fake.shape_of(path)


def motioncor3(arguments: list[str]) -> None:
    """One movie."""
    if arguments == ["--version"]:
        print("MotionCor3 version 1.2.1")
        return
    fake.begin("MotionCor3", arguments)
    found = parse(arguments, MOTIONCOR3, commas=True)
    movies = [name for name in ("InMrc", "InTiff", "InEer") if name in found]
    if len(movies) != 1:
        sys.exit(3)
    check_gpus(found, 5)
    movie, out = found[movies[0]][0], found["OutMrc"][0]
    if out == movie:
        sys.exit(2)
    throw, trunc = (int(found.get(name, ["0"])[0]) for name in ("Throw", "Trunc"))
    frames, rows, columns = frames_of(movie)
    used = frames - throw - trunc
    if "Gain" in found:
        gain = fake.shape_of(found["Gain"][0])[1:]
        if int(found.get("RotGain", ["0"])[0]) % 2:
            gain = gain[::-1]
        if gain != (rows, columns):  # says so, writes nothing, exits with 0
            print("Error: Gain and frame dimensions mismatch!", file=sys.stderr)
            return
    print(f"GPU {found.get('Gpu', ['0'])[0]} memory: 81000 MB")
    for iteration in range(1, 4):
        print(f"Iteration  {iteration}  Error: {1 / iteration:.3f}")
    size = float(found.get("PixSize", ["0"])[0])
    bin_ = float(found.get("FtBin", ["1"])[0])
    shape = (1, int(rows / bin_) // 2 * 2, int(columns / bin_) // 2 * 2)
    base = stem(out)
    fake.image(f"{base}.mrc", shape, size * bin_)
    if "FmDose" in found and size and "kV" in found:
        fake.image(f"{base}_DW.mrc", shape, size * bin_)
        if found.get("SumRange", ["3", "25"]) != ["0", "0"]:
            fake.image(f"{base}_DWS.mrc", shape, size * bin_)
    if found.get("SplitSum", ["0"])[0] == "1":
        fake.image(f"{base}_EVN.mrc", shape, size * bin_)
        fake.image(f"{base}_ODD.mrc", shape, size * bin_)
    if float(found.get("Cs", ["2.7"])[0]) > 0 and size and "kV" in found:
        header = "# Columns: #1 micrograph number; #2 - defocus 1 [A]; #3 - defocus 2; #4 - azimuth; #5 - phase shift;"
        fake.text(f"{base}_Ctf.txt", f"{header}\n 12000.12  11500.34  45.00  0.00  {fake.number(0.12)}  4.50\n")
    if "OutAln" in found:
        patches = [int(value) for value in found.get("Patch", ["0", "0"])]
        text = f"setting\n   stackSize: {columns} {rows} {frames} 1\n   patches: {patches[0]} {patches[1]} 0\n"
        text += f"   throw: {throw} {trunc}\n#    Global Shift\n#---------------------\nglobalShift\n   stackID 0\n"
        for frame in range(used):
            text += f"{frame:6d}  {fake.number(frame * 0.5 - 1):+8.3f}  {frame * -0.25:+8.3f}\n"
        if min(patches[:2]) > 1:
            text += "#    Local Shift\n#---------------------\nlocalShift\n"
            for patch in range(patches[0] * patches[1]):
                x = (patch % patches[0] + 0.5) * columns / patches[0]
                y = (patch // patches[0] + 0.5) * rows / patches[1]
                text += f"   patchID: {patch}\n   Converge: 1\n"
                text += "".join(f"{f:6d}  {x:8.2f}  {y:8.2f}  {0.1 * f:+8.3f}  {-0.1 * f:+8.3f}\n" for f in range(used))
        fake.text(f"{found['OutAln'][0]}/{Path(movie).stem}.aln", text)
    print(f"Corrected sum has been saved in: {out}")
    end()


def aln(sections: int, axis: float, tilts: list[float], dark: list[int], first: int) -> str:
    """Return the text of an alignment: sections count from ``first``."""
    text = f"# AreTomo Alignment / Priims bprmMn \n# RawSize = 64 48 {sections}\n# NumPatches = 0\n"
    text += "".join(f"# DarkFrame =  {one:4d} {one + first:4d} {tilts[one]:8.2f}\n" for one in dark)
    if first:
        text += "# AlphaOffset =     0.00\n# BetaOffset =     0.00\n"
    text += "# SEC     ROT         GMAG       TX          TY      SMEAN     SFIT    SCALE     BASE     TILT\n"
    for section in range(sections):
        if section not in dark:
            x, y = 3 * math.cos(section), fake.number(2 * math.sin(section))
            text += f"{section + first:5d}  {axis:9.4f}  {1:9.5f}  {x:9.3f}  {y:9.3f}  "
            text += f"{1:7.2f}  {1:7.2f}  {1:7.2f}  {0:7.2f}  {tilts[section]:8.2f}\n"
    return text


def aretomo2(arguments: list[str]) -> None:
    """One tilt series. Exits with 0 after any failure past its first checks."""
    if arguments == ["--version"]:
        print("AreTomo2 version 1.1.3")
        return
    fake.begin("AreTomo2", arguments)
    found = parse(arguments, ARETOMO2, commas=False)
    if found.get("OutImod", ["0"])[0] == "1":
        fake.strict("-OutImod 1 copies a path into 25 bytes")
    series, out = found["InMrc"][0], found["OutMrc"][0]
    check_gpus(found, 1)
    sections, rows, columns = fake.shape_of(series)
    if "AngFile" in found:
        tilts = [float(line.split()[0]) for line in Path(found["AngFile"][0]).read_text().splitlines() if line.strip()]
    elif "AlnFile" in found:
        tilts = [0.0] * sections
    else:
        print("Error: tilt angles cannot be found.")
        return
    if len(tilts) != sections:
        print("Error: tilt angles cannot be found.")
        return
    print(f"Remove image at {tilts[0]:.2f} degree")
    print("Tilt offset: 1.50, CC: 0.41")
    bin_ = float(found.get("OutBin", ["1"])[0])
    depth = int(found.get("VolZ", ["1200"])[0])
    side_x, side_y, side_z = (max(2, int(side / bin_)) for side in (columns, rows, depth))
    if depth:
        flipped = found.get("FlipVol", ["0"])[0] == "1"
        fake.image(out, (side_z, side_y, side_x) if flipped else (side_y, side_z, side_x))
    if "AlnFile" not in found:
        name = stem(series) + ".aln"  # named after the input, beside the output
        fake.text(Path(out).parent / name, aln(sections, float(found["TiltAxis"][0]), tilts, [0], 0))
    end()


def aretomo3(arguments: list[str]) -> None:
    """One tilt series, from its stack or its mdoc."""
    if arguments == ["--version"]:
        print("AreTomo3 version 2.3.1")
        return
    fake.begin("AreTomo3", arguments)
    found = parse(arguments, ARETOMO3, commas=True)
    for folder in ("OutDir", "LogDir", "TmpDir"):
        if folder not in found:
            fake.strict(f"without -{folder} it writes to /")
    if len(found.get("Gpu", [])) > 1:
        fake.strict("one series uses one GPU")
    check_gpus(found, 5)
    given, out = found["InPrefix"][0], found["OutDir"][0]
    if found.get("Cmd", ["0"])[0] == "0":
        if not given.endswith(".mdoc"):
            fake.strict("-Cmd 0 reads an mdoc")
        movies = [
            line.split("\\")[-1].split("/")[-1]
            for line in Path(given).read_text().splitlines()
            if "SubFramePath" in line
        ]
        movies = [movie.split("=")[-1].strip() for movie in movies]
        if not all(Path(movie).exists() for movie in movies):
            sys.exit(6)
        _, rows, columns = fake.shape_of(movies[0])
        tilts = sorted(3.0 * (index - len(movies) // 2) for index in range(len(movies)))
    else:
        _, rows, columns = fake.shape_of(given)
        beside = Path(f"{stem(given)}_TLT.txt")
        if not beside.exists():
            print("Error: tilt angles cannot be found.")
            return
        tilts = [float(line.split()[0]) for line in beside.read_text().splitlines() if line.strip()]
    base = f"{out}{Path(given).stem}"
    bin_ = float(found.get("AtBin", ["1"])[0])
    side_x, side_y = (max(2, int(side / bin_)) for side in (columns, rows))
    volume = (max(2, int(int(found["VolZ"][0]) / bin_)), side_y, side_x)
    if int(found["VolZ"][0]):
        fake.image(f"{base}_Vol.mrc", volume)
        if found.get("Cmd", ["0"])[0] == "0" and found.get("SplitSum", ["1"])[0] == "1":
            fake.image(f"{base}_EVN_Vol.mrc", volume)
            fake.image(f"{base}_ODD_Vol.mrc", volume)
    fake.text(f"{base}.aln", aln(len(tilts), float(found["TiltAxis"][0]), tilts, [0], 1))
    fake.text(
        f"{base}_CTF.txt", "# Columns\n" + "".join(f"{i + 1:4d} 20000 19000 10 0 0.1 12 1\n" for i in range(len(tilts)))
    )
    fake.text(f"{out}TiltSeries_Metrics.csv", "Tilt_Series,Thickness(Pix)\nin,900\n")
    end()
