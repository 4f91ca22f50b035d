
_bms_agent_completion() {
    local IFS=$'
'
    COMPREPLY=( $( env COMP_WORDS="${COMP_WORDS[*]}" \
                   COMP_CWORD=$COMP_CWORD \
                   _BMS_AGENT_COMPLETE=complete_bash $1 ) )
    return 0
}

complete -o default -F _bms_agent_completion bms-agent

