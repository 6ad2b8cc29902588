"""The tutorial of clusters, followed on one."""

import pytest
from following import follow


@pytest.mark.slurm
def test_a_cluster(cluster, folder):
    follow("cluster.md", folder, SLURM_CONF=str(cluster.configuration), PYPCORE_LATE="1")
