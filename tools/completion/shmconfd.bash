# SPDX-License-Identifier: Apache-2.0
# Made by shmconfd --print-bash-completion.
_shmconfd() {
    local word=${COMP_WORDS[COMP_CWORD]} files="" options=" --http-port --http-host --client-timeout-ms --max-clients --access-token --dir --access --group --max-configurations --log-level --log-format --log-path --local-development-directory --prefetch-list --poll-interval --request-timeout --max-connections --service-region --fresh-wait-ms --invoke-poll --backup-directory --preload-backups --role-arn --role-external-id --role-session-name --proxy-url --proxy-headers --manifest --wait-on-manifest --experiment-assignment-log-destination --loop --help --version --check --once --print-configuration-reference --print-man-page --print-bash-completion --print-zsh-completion"
    case ${COMP_WORDS[COMP_CWORD - 1]} in
    --dir) files=yes ;;
    --access) options="owner group all" ;;
    --log-level) options="trace debug info warn error fatal none" ;;
    --log-format) options="text json" ;;
    --log-path) files=yes ;;
    --local-development-directory) files=yes ;;
    --invoke-poll) options="wait background" ;;
    --backup-directory) files=yes ;;
    --preload-backups) options="true false" ;;
    --wait-on-manifest) options="true false" ;;
    --loop) options="auto epoll io_uring" ;;
    esac
    if [[ $files ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    else
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
    fi
}
complete -o filenames -F _shmconfd shmconfd
