# shellcheck shell=bash
# What is installed into a release's environment: pip, the packages that visiond needs, visiond itself.
extra_packages=$root/etc/visiond/requirements.txt # what this device needs beside: kept, and installed into each release
offline=                                          # the folder of wheels

environment_options() { # of python -m venv; picamera2 exists as apt's package alone
    if has_package python3-picamera2; then echo --system-site-packages; fi
}

constraints() { # options of pip
    if has_package python3-picamera2 && [ "$(os_release VERSION_ID)" = 12 ]; then
        echo --constraint "$project/config/constraints/bookworm-csi.txt"
    fi
}

make_environment() { # RELEASE OPTION…: without pip
    rm -rf "$1" # what an interrupted run has left
    mkdir -p "$base/releases" "$base/tmp"
    "$python" -m venv --without-pip "${@:2}" "$1"
}

unpack_pip() { # RELEASE: python3-venv brings it as a wheel. venv would run that packed, to install itself: a quarter of the whole time
    local wheel
    wheel=$(compgen -G '/usr/share/python-wheels/pip-*.whl' | sort --version-sort | tail -n 1) || true
    if [ -n "$wheel" ]; then
        "$python" -m zipfile --extract "$wheel" "$(site_packages "$1")"
    else
        "$1/bin/python" -m ensurepip >/dev/null
    fi
}

site_packages() { # RELEASE
    echo "$1/lib/python$(python_version)/site-packages"
}

packages_asked() { # all that decides which packages there will be; nothing where the network decides
    [ -n "$offline" ] || return 0
    {
        wanted_packages
        cat "$extra_packages" "$project"/config/constraints/* 2>/dev/null || true
        environment_options
        "$python" --version
        find "$offline" -name '*.whl' -printf '%f %s\n' | LC_ALL=C sort
    } | sha256sum
}

wanted_packages() { # without what only builds it
    "$python" "$project/tools/install/requirements.py" "$project/setup.cfg" | grep --invert-match '^setuptools'
}

has_same_packages() { # whether the release that runs was made from the same wheels for the same requirements
    local asked
    asked=$(packages_asked)
    [[ -n $(current) && -n $asked && $asked == "$(cat "$current_link/.packages" 2>/dev/null)" ]]
}

share_packages() { # RELEASE: the files that an installation would give, and no second copy of them on a small card
    # Nobody writes into them: pip and Python put a new file in an old one's place
    local to
    to=$(site_packages "$1")
    cp --archive --link "$(site_packages "$base/releases/$(current)")/." "$to"
    rm -rf "$to"/visiond "$to"/visiond-*.dist-info
    find "$to" -maxdepth 1 -type l -delete # lent ones
    packages_asked >"$1/.packages"
}

install_packages() { # RELEASE
    local options=()
    unpack_pip "$1"
    mapfile -t options < <(wanted_packages)
    [ -z "$offline" ] || options+=(--no-index --find-links "$offline")
    [ ! -e "$extra_packages" ] || options+=(--requirement "$extra_packages")
    # shellcheck disable=SC2046 # no option, or two words
    # TMPDIR: in Debian 13 /tmp is memory, and a small board has not enough for what pip unpacks there
    if ! TMPDIR=$base/tmp nice "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-compile \
        --root-user-action ignore $(constraints) "${options[@]}"; then
        [ -z "$offline" ] || refuse 69 "$offline does not have all packages for Python $(python_version) on $(uname -m): make it again with ./install.sh --download DIR --arch $(uname -m) --python $(python_version)"
        refuse 69 "pip could not install the packages: is there a network, and room on the disk (df -h /opt)? Without a network: --offline"
    fi
    packages_asked >"$1/.packages"
}

install_program() { # RELEASE; the checkout is only read
    "$python" -I -B "$project/tools/install/program.py" "$project" "$1" "$(site_packages "$1")"
}

compile_bytecode() { # RELEASE PACKAGE, or "" for all: the service may not write there, and would compile anew at each start
    # On all processors, unlike pip, and without what the service never imports. A file that is no Python, such as a template, is no failure
    nice "$1/bin/python" -m compileall -qq -j 0 -x '/(tests?|pip|setuptools|pkg_resources|pygments/(lexers|styles))/' \
        "$(site_packages "$1")/$2" || true
}

forget_packages() { # of a release that has failed they are not shared again: the next run installs them anew
    rm -f "$base"/releases/*/.packages
}

lend() { # PACKAGE RELEASE: one package of the system's, and no other
    ln -sfn "$1" "$(site_packages "$2")/$(basename "$1")"
}
