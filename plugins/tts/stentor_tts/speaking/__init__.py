"""From text to audio: who speaks, in whose voice, in what manner, sentence by sentence as it comes."""
