
#compdef bms-agent

_bms_agent_completion() {
  eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _BMS_AGENT_COMPLETE=complete_zsh bms-agent)
}

compdef _bms_agent_completion bms-agent

