# shellcheck shell=bash
# Which system this is, and what of it the program may use.
python=/usr/bin/python3 # the system's: picamera2 comes with it, and the service can reach it
# For tests of --dry-run: another root to look at. Nothing is ever written there.
root=${VISIOND_INSTALL_ROOT:-}

check_system() { # refuse what visiond is not made for, in one sentence
    local name architecture
    name=$(os_release PRETTY_NAME)
    case $(os_release ID)-$(os_release VERSION_ID) in
        debian-12 | debian-13) ;;
        *) refuse 69 "this is ${name:-an unknown system}: visiond is installed on Debian 12 and 13, and on Raspberry Pi OS Bookworm and Trixie" ;;
    esac
    architecture=$(dpkg --print-architecture)
    case $architecture in
        arm64 | amd64) ;;
        *) refuse 69 "this system is $architecture and there are no packages for it: install the 64-bit system (arm64), the board can run it" ;;
    esac
    command -v systemctl >/dev/null || refuse 69 "systemd is not here, and visiond is a service of systemd: boot a system with it"
    sh "$project/tools/check-python.sh" "$python"
}

check_root() {
    if [ "$dry_run" = yes ]; then return; fi
    [ -z "$root" ] || refuse 64 "VISIOND_INSTALL_ROOT goes with --dry-run only"
    [ "$(id -u)" -eq 0 ] || refuse 77 "run it as root: sudo ./install.sh"
    # Two at once would each remove what the other one has just built
    exec 9>/run/lock/visiond-install.lock
    flock --nonblock 9 || refuse 75 "another install.sh is at work: wait for its end"
}

os_release() { # KEY: its value
    sed -n "s/^$1=\"\{0,1\}\([^\"]*\)\"\{0,1\}$/\1/p" "$root/etc/os-release" 2>/dev/null || true
}

has_package() { # NAME: whether apt has installed it
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

python_version() { # 3.11
    "$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])'
}

system_packages() { # PATH of python3-systemd's package, where it is installed
    "$python" -I -c 'import importlib.util as u; s = u.find_spec("systemd"); print(s.submodule_search_locations[0] if s else "")'
}
