"""Tasks that tune what another run has trained: reward models, preference losses, reinforcement learning."""
