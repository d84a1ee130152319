# shellcheck shell=bash
# What --uninstall and --purge take away.
uninstall() {
    local path
    if systemctl cat visiond.service >/dev/null 2>&1; then
        step "service: stopped and disabled" stop_service
    fi
    while read -r path; do
        if [ -e "$root/$path" ] || [ -L "$root/$path" ]; then step "file: /$path goes" rm -f "$root/$path"; fi
    done < <(for release in "$base"/releases/*/; do tree_of "$(basename "$release")"; done | LC_ALL=C sort --unique)
    remove_if_there "$drop_ins/network-cameras.conf"
    remove_if_there "$root/run/visiond"
    remove_if_there "$base"
    rmdir "$root/usr/share/visiond" "$drop_ins" 2>/dev/null || true
    if [ "$changes" -gt 0 ]; then step "systemd reads its units again" systemctl daemon-reload; fi
    if [ "$changes" -gt 0 ] && [ -e "$root/run/udev/control" ]; then step "udev reads its rules again" udevadm control --reload; fi
    remove_user
}

stop_service() { # a service that is not there any more is as good
    systemctl disable --now --quiet visiond.socket visiond.service || true
    systemctl reset-failed visiond.service visiond.socket 2>/dev/null || true
}

remove_user() {
    if [ -e "$config" ]; then # its group's number may be another group's one day, and there are passwords of cameras in it
        chgrp_config
    fi
    if getent passwd visiond >/dev/null; then step "user visiond goes" userdel visiond; fi
    if getent group visiond >/dev/null; then step "group visiond goes" groupdel visiond; fi
}

chgrp_config() {
    [ -z "$(find "$(dirname "$config")" -group visiond -print -quit 2>/dev/null)" ] ||
        step "configuration: stays, for root alone" find "$(dirname "$config")" -group visiond -exec chgrp root {} +
}

purge() {
    remove_if_there "$(dirname "$config")"
    if [ -d "$drop_ins" ]; then # of `systemctl edit`: part of the configuration
        step "folder: $drop_ins" rm -rf "$drop_ins" "$root/etc/systemd/system/visiond.socket.d"
        step "systemd reads its units again" systemctl daemon-reload
    fi
}

remove_if_there() { # PATH
    if [ -e "$1" ] || [ -L "$1" ]; then step "goes: $1" rm -rf "$1"; fi
}
