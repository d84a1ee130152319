# shellcheck shell=bash
# Packages of Python for a machine without a network: fetched on another one, which may be of another architecture.
download_wheels() { # DIR aarch64|x86_64 PYTHON-VERSION
    local folder=$1 architecture=$2 version=$3 scratch glibc options=()
    case $architecture in
        aarch64 | x86_64) ;;
        *) refuse 64 "--arch $architecture: there are packages for aarch64 and x86_64" ;;
    esac
    case $version in
        3.11 | 3.12) glibc=36 ;; # Debian 12
        3.13) glibc=41 ;;        # Debian 13
        *) refuse 64 "--python $version: Debian 12 has 3.11, Debian 13 has 3.13" ;;
    esac
    options=(--only-binary=:all: --implementation cp --python-version "$version" --abi "cp${version/./}" --abi abi3 --abi none)
    options+=(--platform "manylinux2014_$architecture")
    for ((minor = 17; minor <= glibc; minor++)); do
        options+=(--platform "manylinux_2_${minor}_$architecture")
    done
    sh "$project/tools/check-python.sh" python3
    mapfile -t requirements < <(python3 "$project/tools/install/requirements.py" "$project/setup.cfg")
    if [ "$dry_run" = no ]; then # a pip of its own: Debian's python3 comes without one
        scratch=$(mktemp -d)
        # shellcheck disable=SC2064 # the folder's name of now
        trap "rm -rf '$scratch'" EXIT
        python3 -m venv "$scratch"
    fi
    local pip=("${scratch:-VENV}/bin/pip" download --quiet --disable-pip-version-check --dest "$folder")
    step "wheels for Python $version on $architecture, into $folder (about 200 MB)" "${pip[@]}" "${options[@]}" "${requirements[@]}"
    if [ "$version" = 3.11 ]; then # which of the two a board needs is known there
        step "the same for a board with a CSI camera" "${pip[@]}" "${options[@]}" --constraint "$project/config/constraints/bookworm-csi.txt" "${requirements[@]}"
    fi
    [ "$dry_run" = yes ] || echo "next, on the other machine: sudo ./install.sh --offline ${folder@Q}"
}

check_wheels() { # DIR of --offline
    [ -d "$1" ] || refuse 66 "--offline $1: there is no such folder; make it with ./install.sh --download DIR on a machine with a network"
    compgen -G "$1/*.whl" >/dev/null || refuse 66 "--offline $1: there is no wheel in it; make it with ./install.sh --download DIR on a machine with a network"
}
