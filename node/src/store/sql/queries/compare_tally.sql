SELECT site, state, n FROM case_tally ORDER BY site, state
