"""Running keys: the worker, its sign of life, and the periodic work of the one that leads.

The only importer of the job engine. A job carries a key and nothing else; what is to be done, when, and how
often it failed are our own rows. Must not know what a key's work is: that is injected as `handle_key`.
"""

from stockwright.jobs.chores import Chore, Retention
from stockwright.jobs.failures import retry_delay_s
from stockwright.jobs.worker import HandleKey, WorkerDeps, WorkerLimits, WorkerLost, keep_working, run_worker

__all__ = [
    "Chore",
    "HandleKey",
    "Retention",
    "WorkerDeps",
    "WorkerLimits",
    "WorkerLost",
    "keep_working",
    "retry_delay_s",
    "run_worker",
]
