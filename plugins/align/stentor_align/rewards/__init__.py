"""Rewards: rules, judges and learnt scores, alone or composed; what fails costs a sample and never a run."""
