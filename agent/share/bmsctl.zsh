
#compdef bmsctl

_bmsctl_completion() {
  eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _BMSCTL_COMPLETE=complete_zsh bmsctl)
}

compdef _bmsctl_completion bmsctl

