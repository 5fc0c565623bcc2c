# The C module behind signal, which the monitor uses alone: signal.py would load enum.
from signal import *
from signal import set_wakeup_fd as set_wakeup_fd
