# shellcheck shell=bash
# Releases of the program: /opt/visiond/releases/VERSION-CONTENT, each with an environment of its own and all of its
# system files. /opt/visiond/venv is a link to the one that runs, /opt/visiond/previous to the one before.
base=$root/opt/visiond
current_link=$base/venv
previous_link=$base/previous
building= # the release that is not whole yet

current() { release_behind "$current_link"; }
previous() { release_behind "$previous_link"; }

release_behind() { # LINK: the name of its release, nothing where there is none
    [ -L "$1" ] && [ -e "$1/" ] || return 0
    basename "$(readlink "$1")"
}

is_whole() { [ -e "$base/releases/$1/.whole" ]; }

new_release_name() { # the same for the same content: that is how a second run finds nothing to do
    local version
    version=$(sed -n 's/^version = //p' "$project/setup.cfg")
    echo "$version-$({
        cd "$project" || exit
        find "${contents[@]}" -type f ! -path '*/__pycache__/*' ! -path '*.egg-info/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
        "$python" --version
        dpkg --print-architecture
        environment_options
        system_packages
        cat "$extra_packages" 2>/dev/null || true
    } | sha256sum | cut -c 1-12)"
}
contents=(config daemon docs install.sh models systemd tools LICENSE README.md pyproject.toml setup.cfg)

build_release() { # NAME: afterwards it is whole. The one that runs is not touched
    local release=$base/releases/$1 fresh='' systemd_python
    if is_whole "$1"; then
        as_it_is "program: $release"
        return
    fi
    building=$release
    # shellcheck disable=SC2046 # no option, or one
    step "program: an environment for Python $(python_version) in $release" make_environment "$release" $(environment_options)
    if has_same_packages; then
        step "packages, as $(current) has them" share_packages "$release"
        fresh=visiond
    else
        step "packages, $([ -n "$offline" ] && echo "from $offline" || echo "from the network")" install_packages "$release"
    fi
    step "visiond itself" install_program "$release"
    step "bytecode" compile_bytecode "$release" "$fresh"
    systemd_python=$(system_packages)
    if [ -n "$systemd_python" ] && [ -z "$(environment_options)" ]; then
        step "apt's python3-systemd, for fields in the journal" lend "$systemd_python" "$release"
    fi
    step "its system files, below $release/system" lay_out "$release"
    step "the release is whole" finish "$release"
    building=
}

finish() { # RELEASE
    rm -rf "$base/tmp"
    sync --file-system "$1" # a power cut later must not find a release that is marked whole and is not
    touch "$1/.whole"
    sync --file-system "$1"
}

point() { # LINK NAME: atomically
    ln -sfn "releases/$2" "$1.new"
    mv --no-target-directory "$1.new" "$1"
}

adopt_old_layout() { # an environment in the link's place, of an installer without releases, becomes the first one
    if [ -d "$current_link" ] && [ ! -L "$current_link" ]; then
        step "the program of an older installer is kept as a release" adopt
    fi
}

adopt() {
    mkdir -p "$base/releases"
    mv "$current_link" "$base/releases/0.1.0-before"
    touch "$base/releases/0.1.0-before/.whole"
    point "$current_link" 0.1.0-before # its programs name the link: they go on
}

remove_other_releases() { # all but the one that runs and the one before
    local release
    for release in "$base"/releases/*; do
        case $(basename "$release") in
            '*' | "$(current)" | "$(previous)") ;;
            *) step "a release that is not used any more goes: $release" rm -rf "$release" ;;
        esac
    done
}
