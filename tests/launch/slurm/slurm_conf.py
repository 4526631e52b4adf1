"""slurm.conf of a whole Slurm on one host: two nodes with fake GPUs, no database, nothing under /etc."""

import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

NODES = ("n1", "n2")
GPUS = ("/dev/null", "/dev/zero")
SLURM_CONF = """\
ClusterName=lab
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/run/munge.socket,cred_expire={cred_expire_s}
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/%n.pid
SlurmdLogFile={folder}/log/%n.steps.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
MailProg=/bin/true
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SlurmctldParameters=preempt_send_user_signal
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout={slurmd_timeout_s}
InactiveLimit=0
KillWait=2
DefMemPerCPU=500
MinJobAge=3600
MaxArraySize={max_array_size}
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime={grace_s}
PartitionName=high Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""
NODE = "NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs=4 RealMemory=4000 Gres=gpu:2"
GRES_CONF = f"AutoDetect=off\nNodeName={','.join(NODES)} Name=gpu File={','.join(GPUS)}\n"


def free_ports(number: int) -> Sequence[int]:
    """Loopback ports that nobody listens on at this moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [one.getsockname()[1] for one in sockets]


def write_configuration(folder: Path, **settings: int) -> Path:
    """slurm.conf and gres.conf in `folder`/etc; settings: the braces of `SLURM_CONF` that a test chooses."""
    controller_port, *ports = free_ports(1 + len(NODES))
    nodes = "\n".join(NODE.format(name=name, port=port) for name, port in zip(NODES, ports, strict=True))
    path = folder / "etc" / "slurm.conf"
    filled = {"folder": folder, "user": os.getuid(), "controller_port": controller_port, "nodes": nodes, **settings}
    path.write_text(SLURM_CONF.format(**filled), encoding="utf-8")
    (folder / "etc" / "gres.conf").write_text(GRES_CONF, encoding="utf-8")
    return path
