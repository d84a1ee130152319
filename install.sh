#!/bin/bash
# Installs visiond for systemd; --help tells how. Its parts are in tools/install.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # sh install.sh
set -euo pipefail
umask 022
unset PYTHONPATH PYTHONHOME

usage() {
    cat <<'END'
Installs visiond as a service of systemd, on Debian 12 and 13 and Raspberry Pi OS Bookworm and Trixie, 64-bit.

  sudo ./install.sh [--offline DIR] [--network-cameras | --no-network-cameras]
        install, or upgrade: the new version is tried with this device's configuration before the old one goes, and the
        old one comes back when the new one gives no results. A second run changes nothing.
  sudo ./install.sh --rollback       the version before this one, as it was
  sudo ./install.sh --uninstall      all goes but the configuration
  sudo ./install.sh --purge          that too
  ./install.sh --download DIR [--arch aarch64|x86_64] [--python 3.11|3.13]
        on a machine with a network: fetch what --offline DIR needs. Debian 12 has Python 3.11, Debian 13 has 3.13

  --offline DIR           take all packages from DIR
  --network-cameras       let the service reach cameras on private networks; kept through upgrades
  --no-network-cameras    not any more
  --dry-run               say each step and change nothing; goes with any of these, without root

Program: /opt/visiond. Configuration: /etc/visiond/visiond.yaml; packages of Python that this device needs beside, one a
line as pip takes them: /etc/visiond/requirements.txt.
END
}

project=$(cd "$(dirname "$(readlink --canonicalize "$0")")" && pwd)
# shellcheck source=tools/install/words.sh
. "$project/tools/install/words.sh"
# shellcheck source=tools/install/system.sh
. "$project/tools/install/system.sh"
# shellcheck source=tools/install/wheels.sh
. "$project/tools/install/wheels.sh"
# shellcheck source=tools/install/packages.sh
. "$project/tools/install/packages.sh"
# shellcheck source=tools/install/releases.sh
. "$project/tools/install/releases.sh"
# shellcheck source=tools/install/files.sh
. "$project/tools/install/files.sh"
# shellcheck source=tools/install/service.sh
. "$project/tools/install/service.sh"
# shellcheck source=tools/install/removal.sh
. "$project/tools/install/removal.sh"

main() {
    local verb=install folder='' architecture=aarch64 version=3.11 value
    while [ $# -gt 0 ]; do
        case $1 in
            --dry-run) dry_run=yes ;;
            --rollback | --uninstall | --purge) one_verb "${1#--}" ;;
            --download | --offline | --arch | --python)
                value=$(value_of "$@") # alone in its line: only so does its refusal end this program
                case $1 in
                    --download) one_verb download && folder=$value ;;
                    --offline) offline=$value ;;
                    --arch) architecture=$value ;;
                    --python) version=$value ;;
                esac
                shift
                ;;
            --network-cameras) network_cameras=yes ;;
            --no-network-cameras) network_cameras=no ;;
            --help) usage && exit ;;
            *) refuse 64 "unknown option $1; ./install.sh --help lists them" ;;
        esac
        shift
    done
    [ "$verb" = download ] || check_root
    case $verb in
        download) download_wheels "$folder" "$architecture" "$version" ;;
        install) install_or_upgrade ;;
        rollback) go_to_previous ;;
        uninstall) uninstall ;;
        purge)
            uninstall
            purge
            ;;
    esac
    said_changes
}

one_verb() {
    [ "$verb" = install ] || refuse 64 "--$verb and --$1 do not go together: give one of them"
    verb=$1
}

value_of() { # OPTION VALUE…
    case ${2:-} in
        '' | --*) refuse 64 "$1 needs a value; ./install.sh --help tells which" ;;
    esac
    echo "$2"
}

install_or_upgrade() {
    local name before
    check_system
    [ -z "$offline" ] || { check_wheels "$offline" && offline=$(readlink --canonicalize "$offline"); }
    [ -e "$project/setup.cfg" ] || refuse 64 "this copy of install.sh has no program beside it: run the one in the project's folder; here there are --rollback, --uninstall, --purge"
    put_back_when_interrupted
    adopt_old_layout
    before=$(current)
    name=$(new_release_name)
    case $before in
        '') echo "visiond: $name, for the first time" ;;
        "$name") echo "visiond: $name, which is installed" ;;
        *) echo "visiond: $before, to be $name" ;;
    esac
    make_user "$project/systemd/sysusers.conf"
    put_config
    build_release "$name"
    if [ "$(current)" != "$name" ]; then
        if ! try_release "$name"; then
            forget_packages
            remove_other_releases
            refuse 1 "$name does not do on this device: see above; ${before:-no version} goes on as before"
        fi
    fi
    change_to "$name"
    remove_other_releases
    tell_findings
    echo "visiond: before $(version_of "$before"), now $(version_of "$name")"
}

go_to_previous() {
    local name before
    name=$(previous)
    [[ -n $name && $name != "$(current)" ]] || refuse 69 "there is no earlier version to go back to: $base/releases has only the one that runs"
    echo "visiond: $(current), to be $name again"
    put_back_when_interrupted
    before=$(current)
    try_release "$name" || refuse 1 "$name does not do with this configuration: see above; $before goes on as before"
    change_to "$name"
    echo "visiond: before $(version_of "$before"), now $(version_of "$name")"
}

version_of() { # RELEASE-NAME
    case ${1:-} in
        '') echo none ;;
        *) echo "${1%-*} ($1)" ;;
    esac
}

put_back_when_interrupted() {
    trap on_exit EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 141' PIPE
    trap 'exit 143' TERM
}

# shellcheck disable=SC2317 # the trap calls it
on_exit() {
    trap '' HUP INT PIPE TERM
    set +e # who reads what is said here may be gone, as when an SSH connection breaks: the old version comes back all the same
    if [ -n "$unconfirmed" ] && [ "$dry_run" = no ]; then go_back "the installation was interrupted"; fi
    if [ -n "$building" ] && [ "$dry_run" = no ]; then
        rm -rf "$building" "$base/tmp"
        echo "install.sh: $(basename "$building") was not finished, see above; $([ -n "$(current)" ] && current || echo "no version") goes on as before" >&2
    fi
}

tell_findings() { # what is on this device, and what is missing with the command that mends it
    "$python" -I -B "$project/tools/install/findings.py" --root "${root:-/}" --config "$config"
}

{ main "$@"; exit; } # read at once: of a newer install.sh, copied over this one while it runs, nothing is read
