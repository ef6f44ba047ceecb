"""The steps, numbered without gaps: `sNNNN_name.py` names the step, `NNNN_name.sql` is what it does."""
