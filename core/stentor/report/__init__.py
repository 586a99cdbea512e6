"""Reports: one self-contained HTML file about a run, or about an ablation."""
