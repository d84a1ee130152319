# shellcheck shell=bash
# What a release puts outside of /opt/visiond: units, rules, the user, the schema. It keeps them as a tree of the same
# paths in RELEASE/system, so that a release that comes back brings its own ones with it.
config=$root/etc/visiond/visiond.yaml
drop_ins=$root/etc/systemd/system/visiond.service.d
network_cameras= # yes, no, or nothing: as it is
units_changed=no

static_files() { # what is in the checkout as it will be in the system: a line each, source and destination
    local file
    for file in "$project"/systemd/*.service "$project"/systemd/*.socket; do
        printf '%s\t%s\n' "$file" "etc/systemd/system/${file##*/}"
    done
    for file in "$project"/systemd/*.rules; do
        printf '%s\t%s\n' "$file" "etc/udev/rules.d/${file##*/}"
    done
    printf '%s\t%s\n' "$project/systemd/sysusers.conf" usr/lib/sysusers.d/visiond.conf
    printf '%s\t%s\n' "$project/systemd/tmpfiles.conf" usr/lib/tmpfiles.d/visiond.conf
    printf '%s\t%s\n' "$project/config/visiond.yaml" usr/share/visiond/visiond.yaml.example
}

made_files() { # what is made by the program itself, and links
    printf '%s\n' usr/share/visiond/visiond.schema.json usr/share/bash-completion/completions/visiond \
        usr/local/bin/visiond opt/visiond/docs opt/visiond/install.sh
}

lay_out() { # RELEASE: its tree; fails where the program does not even start
    local tree=$1/system file destination
    while IFS=$'\t' read -r file destination; do
        install -D -m 0644 "$file" "$tree/$destination"
    done < <(static_files)
    while read -r destination; do
        mkdir -p "$tree/$(dirname "$destination")"
    done < <(made_files)
    "$1/bin/visiond" schema >"$tree/usr/share/visiond/visiond.schema.json"
    "$1/bin/python" "$project/tools/completion.py" >"$tree/usr/share/bash-completion/completions/visiond"
    ln -s /opt/visiond/venv/bin/visiond "$tree/usr/local/bin/visiond"
    ln -s venv/docs "$tree/opt/visiond/docs" # the units' Documentation=
    ln -s venv/installer/install.sh "$tree/opt/visiond/install.sh" # --rollback and --uninstall when the checkout has gone
    mkdir -p "$1/drop-ins" "$1/installer/tools"
    for file in "$project"/systemd/visiond.service.d-*.conf; do
        install -m 0644 "$file" "$1/drop-ins/${file##*visiond.service.d-}"
    done
    cp -r --no-preserve=ownership "$project/docs" "$1/docs"
    cp -r --no-preserve=ownership "$project/tools/install" "$1/installer/tools/"
    install -m 0755 "$project/install.sh" "$1/installer/install.sh"
}

tree_of() { # RELEASE-NAME: the paths in its tree, without the first /
    local tree=$base/releases/$1/system
    [ ! -d "$tree" ] || (cd "$tree" && find . \( -type f -o -type l \) -printf '%P\n' | LC_ALL=C sort)
}

put_files() { # RELEASE-NAME [RELEASE-NAME-BEFORE]: the system has the first one's files and none of the other's
    local tree=$base/releases/$1/system path
    if [ "$dry_run" = yes ] && ! is_whole "$1"; then
        plan_files
        return
    fi
    while read -r path; do
        if ! same_file "$tree/$path" "$root/$path"; then
            step "file: /$path" put_file "$tree/$path" "$root/$path"
            note_file "$path"
        fi
    done < <(tree_of "$1")
    while read -r path; do
        if [ -e "$root/$path" ] || [ -L "$root/$path" ]; then
            step "file: /$path goes" rm -f "$root/$path"
            note_file "$path"
        fi
    done < <(LC_ALL=C comm -13 <(tree_of "$1") <([ -z "${2:-}" ] || tree_of "$2"))
    put_drop_in "$1" network-cameras "$network_cameras"
    activate_files
}

plan_files() { # --dry-run: what a release that is not built yet will have
    local path
    while read -r path; do
        echo "file: /$path"
    done < <(static_files | cut -f 2 && made_files)
    [ "$network_cameras" != yes ] || echo "drop-in: $drop_ins/network-cameras.conf"
}

same_file() { # FILE FILE
    if [ -L "$1" ]; then
        [ -L "$2" ] && [ "$(readlink "$1")" = "$(readlink "$2")" ]
    else
        [ ! -L "$2" ] && cmp --silent "$1" "$2"
    fi
}

put_file() { # FILE DESTINATION: whole or not at all
    mkdir -p "$(dirname "$2")"
    cp --no-dereference --preserve=mode "$1" "$2.new"
    mv --no-target-directory "$2.new" "$2"
}

put_drop_in() { # RELEASE-NAME DROP-IN yes|no|"": what was asked for once is kept through upgrades
    local file=$base/releases/$1/drop-ins/$2.conf there=$drop_ins/$2.conf
    if [ "$3" = no ] && [ -e "$there" ]; then
        step "drop-in: $there goes" rm -f "$there"
        note_file systemd/system
    elif [ "$3" = yes ] || { [ -z "$3" ] && [ -e "$there" ]; }; then
        if [ -e "$file" ] && ! same_file "$file" "$there"; then
            step "drop-in: $there" put_file "$file" "$there"
            note_file systemd/system
        fi
    fi
}

declare -A touched=()

note_file() { # PATH: what must be told of it, once all are there
    case $1 in
        *systemd/system*) touched[units]=1 units_changed=yes ;;
        *udev/rules.d*) touched[udev]=1 ;;
        *sysusers.d*) touched[users]=1 ;;
    esac
}

activate_files() {
    if [ -n "${touched[users]:-}" ]; then make_user "$root/usr/lib/sysusers.d/visiond.conf"; fi
    if [ -n "${touched[units]:-}" ]; then step "systemd reads its units again" systemctl daemon-reload; fi
    if [ -n "${touched[udev]:-}" ]; then tell_udev; fi
    if [ ! -d "$root/run/visiond" ] && [ -e "$root/usr/lib/tmpfiles.d/visiond.conf" ]; then
        step "folder: /run/visiond" systemd-tmpfiles --create /usr/lib/tmpfiles.d/visiond.conf
    fi
    touched=()
}

tell_udev() { # a stick that is plugged in gets its group and name now
    local vendor
    [ -e "$root/run/udev/control" ] || return 0 # a container: its host's udev has the devices
    step "udev reads its rules again" udevadm control --reload
    for vendor in 1a6e 18d1; do
        step "sticks of vendor $vendor, as if plugged in" udevadm trigger --action=add --subsystem-match=usb --attr-match=idVendor=$vendor
    done
}

make_user() { # SYSUSERS-FILE
    local group missing=
    for group in video plugdev render; do
        id --groups --name visiond 2>/dev/null | grep --quiet --word-regexp "$group" || missing=yes
    done
    if [ -n "$missing" ]; then
        step "user visiond, in the groups video, plugdev, render" systemd-sysusers "$1"
    else
        as_it_is "user visiond"
    fi
}

put_config() {
    if [ -e "$config" ]; then
        as_it_is "configuration: $config"
    else
        step "configuration: $config" install -D -m 0640 -g visiond "$project/config/visiond.yaml" "$config"
    fi
    # After --uninstall it belongs to root alone
    if [ "$dry_run" = no ] && ! runuser -u visiond -- test -r "$config"; then
        step "the service may read it" chgrp visiond "$config"
        chmod g+r "$config"
    fi
}
