# What llama.cpp is built for: asks NVIDIA's driver for the cards of this machine, and tries the CUDA compilers. `setup.sh`
# reads this file, and sets `kept_options` and the function `is_installed` before.

# A driver that is ill may never answer. A healthy one needs a second, or some ten seconds if it has to start many cards.
nvidia_smi_answers_in_s=60
# Where to look for what is not on the PATH.
cuda_folders=(/usr/local/cuda /usr/local/cuda-* /opt/cuda)
wsl_folder=/usr/lib/wsl/lib
kernel_module=/proc/driver/nvidia/version

# Runs a program for at most so many seconds, and prints all that it writes. Nobody waits for a program that cannot even be
# killed, as it happens when a driver hangs.
bounded() {
    local most_s=$1 said pid status=0 tenths=0
    shift
    said=$(mktemp)
    "$@" >"$said" 2>&1 </dev/null &
    pid=$!
    while kill -0 $pid 2>/dev/null && [ $tenths -lt $((most_s * 10)) ]; do
        sleep 0.1
        tenths=$((tenths + 1))
    done
    if kill -9 $pid 2>/dev/null; then
        disown $pid
        status=124
        echo "no answer within $most_s s"
    else
        wait $pid || status=$?
        cat "$said"
    fi
    rm -f "$said"
    return $status
}

# Prints the first line of a text that is not empty.
first_line() {
    awk 'NF { print substr($0, 1, 160); exit }' <<<"$1"
}

# Asks NVIDIA's driver for the cards of this machine. Sets `cards` (compute capability and name, one card a line; empty if
# there are none) and `why_none` (what a person should know if there are none, or nothing). It is asked once.
find_cards() {
    if [ -z "${driver_said+known}" ]; then
        ask_driver
        driver_said=$cards driver_why_none=$why_none
    fi
    cards=$driver_said why_none=$driver_why_none
}

ask_driver() {
    cards="" why_none=""
    local program said container="In a container, start it with access to the cards (docker run --gpus all)."
    if ! program=$(command -v nvidia-smi) && ! program=$(command -v "$wsl_folder/nvidia-smi"); then
        [ ! -e "$kernel_module" ] ||
            why_none="NVIDIA's driver is loaded, but there is no nvidia-smi, which tells its cards. It belongs to the driver's packages. $container"
        return 0
    fi
    if ! said=$(bounded "$nvidia_smi_answers_in_s" "$program" --query-gpu=compute_cap,name --format=csv,noheader); then
        why_none="$program fails ($(first_line "$said")), so no card is known."
        case $said in
            *compute_cap*) why_none="$why_none This driver is too old to tell the compute capability of a card." ;;
            *) [ ! -e "$kernel_module" ] || why_none="$why_none $container" ;;
        esac
        return 0
    fi
    cards=$(echo "$said" | grep -E '^[0-9]+\.[0-9]+, ' || true)
    if [ -z "$cards" ] && { [ -n "$said" ] || [ -e "$kernel_module" ]; }; then
        why_none="$program shows no card that can be used ($(first_line "${said:-nothing}")). $container"
    fi
}

# Prints the numbers of the compute capabilities of the cards, one a line.
capabilities() {
    echo "$cards" | cut -d, -f1 | tr -d . | sort -nu
}

# Prints the cards in words.
name_cards() {
    echo "$cards" | cut -d, -f2- | sed 's/^ //' | sort | uniq -c | sed 's/^ *\([0-9]*\) /\1 x /' | paste -sd, | sed 's/,/, /g'
}

# Prints the CUDA compilers of this machine, the preferred one first.
list_nvcc() {
    local folder
    {
        [ ! -x "${CUDA_HOME:-}/bin/nvcc" ] || echo "${CUDA_HOME:-}/bin/nvcc"
        command -v nvcc || true
        for folder in "${cuda_folders[@]}"; do
            [ ! -x "$folder/bin/nvcc" ] || echo "$folder/bin/nvcc"
        done
    } | awk '!seen[$0]++'
}

# Prints the newest version of CUDA that the driver runs, or nothing.
driver_cuda() {
    local program
    program=$(command -v nvidia-smi) || program=$wsl_folder/nvidia-smi
    bounded "$nvidia_smi_answers_in_s" "$program" | grep -oE 'CUDA( UMD)? Version *: *[0-9]+\.[0-9]+' | grep -oE '[0-9]+\.[0-9]+' | head -n 1 || true
}

# Sets `refused`: why a compiler cannot be used for compute capabilities, or nothing. The arguments are the compiler, the
# driver's version of CUDA, and the capabilities.
check_nvcc() {
    local nvcc=$1 driver=$2 known release said architecture
    shift 2
    refused=""
    case $nvcc in
        *[[:space:]]*)
            refused="$nvcc has a space in its path, which build options cannot hold"
            return 0
            ;;
    esac
    if ! known=$("$nvcc" --list-gpu-arch 2>/dev/null </dev/null); then
        # One that is broken says why when it is tried below.
        known=""
    fi
    for architecture in "$@"; do
        if [ -n "$known" ] && ! echo "$known" | grep -qx "compute_$architecture"; then
            refused="$nvcc makes no code for compute capability ${architecture%?}.${architecture: -1} (the toolkit is too old for these cards, or so new that it has dropped them)"
            return 0
        fi
    done
    release=$("$nvcc" --version 2>/dev/null </dev/null | grep -oE 'release [0-9]+\.[0-9]+' | cut -d' ' -f2) || release=""
    # Within one major version, what was built with a newer toolkit runs with an older driver.
    if [ -n "$release" ] && [ -n "$driver" ] && [ "${release%.*}" -gt "${driver%.*}" ]; then
        refused="$nvcc is of CUDA $release, and the driver runs programs up to CUDA $driver only"
        return 0
    fi
    # A toolkit may have been installed in parts, or refuse the C++ compiler of this machine.
    if ! said=$("$nvcc" -x cu -E - -o /dev/null 2>&1 <<<'#include <cublas_v2.h>'); then
        case $said in
            *cublas_v2.h*) refused="beside $nvcc there is no cuBLAS" ;;
            *) refused="$nvcc does not work ($(first_line "$(echo "$said" | grep -i -e error -e fatal -e unsupported || true)"))" ;;
        esac
    fi
}

# Sets `nvcc`, a compiler for these compute capabilities, or leaves it empty and sets `why_no_nvcc`.
find_nvcc() {
    local candidate driver refused reasons=()
    nvcc="" why_no_nvcc="there is no CUDA compiler (nvcc)"
    driver=$(driver_cuda)
    while read -r candidate; do
        check_nvcc "$candidate" "$driver" "$@"
        if [ -z "$refused" ]; then
            nvcc=$candidate
            return
        fi
        reasons+=("$refused")
    done < <(list_nvcc)
    [ ${#reasons[@]} -eq 0 ] || why_no_nvcc=$(printf '%s; ' "${reasons[@]}" | sed 's/; $//')
}

# Prints the value of one of the options, or nothing.
option() {
    echo " $2" | sed -n "s/.* -D$1\(:[A-Z]*\)\{0,1\}=\([^ ]*\).*/\2/p" | tr -d "\"'"
}

cuda_options() {
    local nvcc=$1
    shift
    echo "-DGGML_CUDA=on -DCMAKE_CUDA_COMPILER=$nvcc -DCMAKE_CUDA_ARCHITECTURES=$(printf '%s\n' "$@" | sort -nu | paste -sd';')"
}

# Prints the capabilities that the options make code for, if these are exactly the options that this script would choose.
own_capabilities() {
    local listed
    listed=$(option CMAKE_CUDA_ARCHITECTURES "$1" | tr ';' '\n')
    # shellcheck disable=SC2086 # one word for each capability
    [ "$1" != "$(cuda_options "$(option CMAKE_CUDA_COMPILER "$1")" $listed)" ] || echo "$listed"
}

# Prints for how many kinds of cards the options build; 0: not for CUDA.
count_kinds() {
    local listed
    listed=$(option CMAKE_CUDA_ARCHITECTURES "$1")
    case $(option GGML_CUDA "$1" | tr '[:upper:]' '[:lower:]') in
        on | 1 | true | yes) echo "${listed:-native}" | tr ';' '\n' | grep -c . ;;
        *) echo 0 ;;
    esac
}

# Sets `cmake_args` (options of the build that is wanted), `built_for` (what they are for, in words), `kinds` (number of
# kinds of cards that are compiled for) and `advice` (what a person should know, or nothing).
#
# Options that were used before stay: machines with different cards may share this folder, and a machine without a card
# must not replace the build of those that have one. Cards of a kind that the build has no code for are added to it.
choose_build() {
    local kept
    kept=$(cat "$kept_options" 2>/dev/null) || kept=""
    cmake_args=${CMAKE_ARGS:-$kept} built_for="the processor" advice="" kinds=0
    [ "${CMAKE_ARGS:-}" != auto ] || cmake_args="" kept=""
    if [ -n "$cmake_args" ]; then
        built_for="what CMAKE_ARGS says ($cmake_args)"
        [ -n "${CMAKE_ARGS:-}" ] || built_for="the same as before ($cmake_args)"
    fi
    if [ -z "${CMAKE_ARGS:-}" ] || [ "$CMAKE_ARGS" = auto ]; then
        choose_for_cards "$kept"
    fi
    kinds=$(count_kinds "$cmake_args")
}

# Chooses for the cards of this machine, beside what the kept options are for.
choose_for_cards() {
    local kept=$1 own cards why_none nvcc why_no_nvcc wanted new before=""
    own=$(own_capabilities "$kept")
    # The user's own options are for the user to change.
    [ -z "$kept" ] || [ -n "$own" ] || return 0
    find_cards
    if [ -z "$cards" ]; then
        advice=$why_none
        return 0
    fi
    wanted=$(capabilities)
    new=$(echo "$wanted" | grep -vxF "${own:-none}" || true)
    if [ -n "$own" ] && [ -z "$new" ] && { is_installed || [ -x "$(option CMAKE_CUDA_COMPILER "$kept")" ]; }; then
        return 0
    fi
    # shellcheck disable=SC2086 # one word for each capability
    find_nvcc $wanted $own
    if [ -z "$nvcc" ] && [ -n "$own" ]; then
        # It may make code for these cards, and not for all of those before.
        # shellcheck disable=SC2086
        find_nvcc $wanted
        own=""
    fi
    if [ -z "$nvcc" ]; then
        advice="The driver shows $(name_cards), but $why_no_nvcc, so llama.cpp is built for the processor only."
        [ -z "$kept" ] || advice="The driver shows $(name_cards), but the build that is kept ($kept) cannot be made for them: $why_no_nvcc."
        return 0
    fi
    [ -z "$own" ] || [ "$own" = "$wanted" ] || before=", and what it was built for before"
    # shellcheck disable=SC2086
    cmake_args=$(cuda_options "$nvcc" $wanted $own)
    built_for="$(name_cards)$before, with $nvcc"
}

# Says how to get a build for the cards. It does not stop: the processor is enough for a first look.
advise() {
    [ -n "$advice" ] || return 0
    echo "set-up: $advice"
    case $advice in
        *nvcc*)
            echo "        For the cards, install a CUDA toolkit of the major version that nvidia-smi shows, or an older one, and run the same command again:"
            echo "          Debian, Ubuntu:  sudo apt-get install -y nvidia-cuda-toolkit   (or cuda-toolkit of NVIDIA's own repository)"
            echo "          Fedora:          sudo dnf install cuda-toolkit                  (NVIDIA's own repository)"
            echo "        An nvcc elsewhere is found if it is on the PATH or in CUDA_HOME. CMAKE_ARGS=-DGGML_CUDA=off builds for the processor without this advice."
            ;;
    esac
}

# A build for CUDA that was chosen on another machine, or before the toolkit was removed, must not fail after minutes.
check_cuda_compiler() {
    local nvcc
    [ "$kinds" -gt 0 ] || return 0
    nvcc=$(option CMAKE_CUDA_COMPILER "$cmake_args")
    if [ -n "$nvcc" ]; then
        [ ! -x "$nvcc" ] || return 0
    elif [ -n "$(list_nvcc)" ]; then
        return 0
    fi
    {
        echo "make setup: llama.cpp is to be built for $built_for, but ${nvcc:-a CUDA compiler (nvcc)} is not there."
        echo "Run the same command on a machine that has it, or choose anew: CMAKE_ARGS=auto make setup"
        echo "(for the processor: CMAKE_ARGS=-DGGML_CUDA=off make setup)."
    } >&2
    exit 1
}
