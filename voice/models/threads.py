"""How many threads a matrix product takes. The only import of threadpoolctl."""

from threadpoolctl import threadpool_limits


def one_thread_each() -> None:
    """NumPy's matrix products stay in the thread that asks for them, in the whole process from now on.

    They are small here, and OpenBLAS's helper threads wait for the next one by spinning: it cost a sixth of the CPU time of
    a stream (docs/measurements.md, "Where the CPU time of a stream goes")."""
    threadpool_limits(limits=1, user_api="blas")
