"""Rewards for what is spoken (kind `reward`): responses that carry audio."""
