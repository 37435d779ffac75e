# SPDX-License-Identifier: Apache-2.0
# Made by shmcat --print-bash-completion.
_shmcat() {
    local word=${COMP_WORDS[COMP_CWORD]} command="" options="" names="" i
    if declare -F _get_comp_words_by_ref >/dev/null; then
        local cur words cword
        _get_comp_words_by_ref -n : cur words cword
        word=$cur
    else
        local words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
    fi
    for ((i = 1; i < cword; i++)); do
        [[ ${words[i]} == -* ]] || { command=${words[i]}; break; }
    done
    case $command in
    ls) options=" --names" names= ;;
    cat) options=" --version --wait" names=yes ;;
    status) options=" --max-age" names=yes ;;
    follow) options=" --count --exec" names=yes ;;
    watch) options=" --interval --count" names= ;;
    verify) options="" names=yes ;;
    dump) options=" --annotate --version" names=yes ;;
    readers) options="" names=yes ;;
    bench) options="" names=yes ;;
    doctor) options="" names= ;;
    "" | help) options="help ls cat status follow watch verify dump readers bench doctor --version --print-man-page --print-bash-completion --print-zsh-completion" ;;
    esac
    options+=" --dir --json --color --help"
    local IFS=' '
    if [[ $names && $word != -* ]]; then
        options=$(shmcat ls --names 2>/dev/null)
        IFS=$'\n'
    fi
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
    ! declare -F __ltrim_colon_completions >/dev/null || __ltrim_colon_completions "$word"
}
complete -F _shmcat shmcat
