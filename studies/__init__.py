"""What is built of many runs: the paper, the search, benchmarks, the matrix of builds."""
