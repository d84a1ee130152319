"""How the daemon lives under systemd: the socket it is handed, what it tells back, and the signals it is told by."""

from visiond.systemd.handed_in import listening_socket as listening_socket
from visiond.systemd.life import SystemdLife as SystemdLife
from visiond.systemd.notify import Notifier as Notifier
from visiond.systemd.signals import Signals as Signals
from visiond.systemd.signals import leave_to_main_thread as leave_to_main_thread
