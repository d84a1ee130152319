# shellcheck shell=bash
# What the installer says, and how it takes a step: in words, and with --dry-run in words only.
dry_run=no
changes=0

step() { # WORDS COMMAND…: the command changes something
    local words=$1
    shift
    echo "$words"
    changes=$((changes + 1))
    if [ "$dry_run" = yes ]; then
        # What is not one command but several is said in words alone
        [ "$(type -t "$1")" = function ] || echo "    $*"
    else
        "$@"
    fi
}

as_it_is() { # WORDS: nothing to do there
    echo "$1: as it is"
}

refuse() { # EXIT-CODE SENTENCE
    echo "install.sh: $2" >&2
    exit "$1"
}

said_changes() { # the last line of a run that went well
    if [ "$changes" -eq 0 ]; then
        echo "nothing was changed"
    elif [ "$dry_run" = yes ]; then
        echo "--dry-run: nothing was changed; $changes steps would be taken"
    fi
}
