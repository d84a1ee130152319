# shellcheck shell=bash
# The service: tried before it is changed, restarted, looked at, and put back when it does not do.
health_s=${VISIOND_INSTALL_HEALTH_S:-30} # longer on an emulated processor
unconfirmed= # while a new release is on trial: the name of the one to go back to, or - for none
before_that= # the previous release before this run
was_seeing=no

try_release() { # NAME: with the configuration and the packages of this device, beside the one that runs. 1: it does not do
    local release=$base/releases/$1
    if [ "$dry_run" = yes ]; then
        step "the new version is tried before the old one goes" "$release/bin/visiond" check --config "$config"
        return
    fi
    echo "trying $1: the configuration, and the golden examples of its models"
    as_service "$release/bin/visiond" check --config "$config" &&
        as_service nice "$release/bin/python" -m visiond.modelkit.trial "$config"
}

as_service() { # COMMAND…, as the service's user, in a folder that it may be in
    (cd / && runuser --user visiond -- env --unset=VISIOND_CONFIG "$@")
}

change_to() { # NAME: it runs afterwards. Else the one before runs again, and this run ends with 1
    local new=$1 old reason
    old=$(current)
    if [ "$old" = "$new" ] && [ -z "$(stale_process)" ]; then
        put_files "$new"
        if [ "$units_changed" = yes ] && is_wanted; then step "service: restarted with its changed files" restart_service; fi
        return
    fi
    note_state
    before_that=$(previous)
    unconfirmed=${old:--}
    if [ "$old" = "$new" ]; then # an interrupted run has come so far
        unconfirmed=${before_that:--}
    else
        [ -z "$old" ] || step "release to go back to: $old" point "$previous_link" "$old"
        step "release: $new" point "$current_link" "$new"
    fi
    put_files "$new" "$old"
    if [ "$dry_run" = yes ]; then
        step "service: started, or restarted if it runs, and watched for $health_s s" systemctl restart visiond.service
        return
    fi
    if [ -z "$old" ]; then
        step "service: enabled and started" enable_service
    elif is_wanted; then
        step "service: restarted" restart_service
    else
        echo "service: not running, and left so"
        unconfirmed=
        return
    fi
    if ! reason=$(why_unhealthy); then
        go_back "$reason"
        exit 1
    fi
    unconfirmed=
    echo "service: active; $(state_line)"
}

go_back() { # REASON
    local old=$unconfirmed failed
    unconfirmed=
    failed=$(current)
    echo "install.sh: $failed does not do: $1 (its log: journalctl -u visiond -n 50)" >&2
    if [ "$old" = - ]; then
        echo "install.sh: there is no older release to go back to" >&2
        return
    fi
    step "release: back to $old" point "$current_link" "$old"
    if [ -n "$before_that" ] && [ "$before_that" != "$old" ]; then
        point "$previous_link" "$before_that"
    else
        rm -f "$previous_link"
    fi
    put_files "$old" "$failed"
    forget_packages
    restart_service
    if why_unhealthy >/dev/null; then
        echo "install.sh: rolled back to $old, which runs" >&2
    else
        echo "install.sh: rolled back to $old, which gives no results either: visiond doctor" >&2
    fi
    remove_other_releases
}

note_state() { # before the change: whether the service gives results, which the next one then has to as well
    was_seeing=no
    [ "$dry_run" = no ] && case $(state_line) in
        "visiond is ok"* | "visiond is degraded"*) was_seeing=yes ;;
    esac
    return 0
}

is_wanted() { # running, about to, or failed: not one that somebody has stopped
    case $(systemctl is-active visiond.service) in
        inactive | unknown) return 1 ;;
    esac
}

stale_process() { # the release of the running process, where it is not the current one: an upgrade was interrupted
    local pid
    pid=$(systemctl show --property MainPID --value visiond.service 2>/dev/null || true)
    [ "${pid:-0}" -gt 0 ] || return 0
    tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | sed -n '1s|.*/releases/\([^/]*\)/bin/.*|\1|p' | grep --invert-match --line-regexp --fixed-strings "$(current)" || true
}

enable_service() { # failing to start is why_unhealthy's to tell
    systemctl enable --quiet visiond.socket visiond.service
    restart_service
}

restart_service() { # the socket as well when a unit has changed: it cannot be started beside a service that listens itself
    local stopped=(visiond.service)
    [ "$units_changed" = no ] || stopped+=(visiond.socket)
    systemctl stop "${stopped[@]}" 2>/dev/null || true # ended before the next one starts: what answers then is the next one
    systemctl reset-failed visiond.service 2>/dev/null || true
    if [ "$(systemctl is-enabled visiond.socket 2>/dev/null)" = enabled ]; then systemctl start visiond.socket || true; fi
    systemctl start --no-block visiond.service || true # why_unhealthy waits for it
    units_changed=no
}

why_unhealthy() { # exit 0 as soon as the service does its work; else, after a while, 1 and the reason on stdout
    local give_up=$((SECONDS + health_s)) state line=
    while true; do
        state=$(systemctl is-active visiond.service || true)
        line=$(state_line)
        if [ "$state" = active ]; then
            case $line in
                "visiond is ok"* | "visiond is degraded"*) return 0 ;;
                "visiond is blind"*) [ "$was_seeing" = yes ] || return 0 ;;
            esac
        fi
        [ "$SECONDS" -lt "$give_up" ] || break
        sleep 0.5
    done
    echo "after $health_s s the service is $state; visiond status: ${line:-no answer}"
    return 1
}

state_line() { # what `visiond status` says first, or its error
    local said
    said=$(timeout 15 "$current_link/bin/visiond" status --socket "$(socket_path)" 2>&1 || true)
    grep --max-count 1 '^visiond is' <<<"$said" || tail -n 1 <<<"$said"
}

socket_path() { # as configured
    local code='import sys; from pathlib import Path; from visiond.config import load_config; print(load_config(Path(sys.argv[1])).socket.path)'
    "$current_link/bin/python" -c "$code" "$config" 2>/dev/null || echo /run/visiond/visiond.sock
}
