# SPDX-License-Identifier: Apache-2.0
# Made by shmcat --print-bash-completion.
_shmcat() {
    local word=${COMP_WORDS[COMP_CWORD]}
    local command="" options="" values="" names="" directories="" previous="" root=() i
    if declare -F _get_comp_words_by_ref >/dev/null; then
        local cur words cword
        _get_comp_words_by_ref -n : cur words cword
        word=$cur
    else
        local words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
    fi
    for ((i = 1; i < cword; i++)); do
        previous=${words[i]}
        case $previous in
        --dir)
            [[ ${words[i + 1]} != "=" ]] || ((i++))
            root=(--dir "${words[i + 1]}")
            ((++i == cword)) || previous=""
            ;;
        --dir=*) root=(--dir "${previous#*=}") ;;
        --color)
            [[ ${words[i + 1]} != "=" ]] || ((i++))
            ((++i == cword)) || previous=""
            ;;
        -*) ;;
        *) [[ -n $command ]] || command=$previous ;;
        esac
    done
    # Words come as they were typed: of what the shell makes of them only what runs nothing.
    case ${root[1]} in
    \'*\' | \"*\") root[1]=${root[1]:1:-1} ;;
    \~/*) root[1]=$HOME/${root[1]:2} ;;&
    *\\*) root[1]=${root[1]//\\/} ;;
    esac
    case $command in
    ls) options=" --names" values="" names= ;;
    cat) options=" --version --wait" values=" --version --wait" names=yes ;;
    status) options=" --max-age" values=" --max-age" names=yes ;;
    follow) options=" --count --exec" values=" --count --exec" names=yes ;;
    watch) options=" --interval --count" values=" --interval --count" names= ;;
    verify) options="" values="" names=yes ;;
    dump) options=" --annotate --version" values=" --version" names=yes ;;
    readers) options="" values="" names=yes ;;
    bench) options="" values="" names=yes ;;
    doctor) options="" values="" names= ;;
    "" | help) options="help ls cat status follow watch verify dump readers bench doctor --version --print-man-page --print-bash-completion --print-zsh-completion" ;;
    esac
    options+=" --dir --json --color --help"
    [[ -z $previous || "$values " != *" $previous "* ]] || options="" names=""
    case $previous in
    --dir) directories=yes ;;
    --color) options="auto always never" names="" ;;
    esac
    local IFS=' ' name
    if [[ $directories ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
    elif [[ $names && $word != -* ]]; then
        # Names are anybody's: compgen -W would run what is in them.
        COMPREPLY=()
        while IFS= read -r name; do
            printf -v name %q "$name"
            [[ $name != "$word"* ]] || COMPREPLY+=("$name")
        done < <(shmcat "${root[@]}" ls --names 2>/dev/null)
    else
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
    fi
    ! declare -F __ltrim_colon_completions >/dev/null || __ltrim_colon_completions "$word"
}
complete -F _shmcat shmcat
