# EM of a Gaussian mixture by mclust: Rscript mclust.R ROWS.bin N D K full|diagonal SHORT LONG PAIRS
# Prints seconds per iteration, one for each pair of runs, then the log-likelihood after LONG iterations.
suppressMessages(library(mclust))
a <- commandArgs(TRUE)
n <- as.integer(a[2]); d <- as.integer(a[3]); k <- as.integer(a[4]); steps <- as.integer(a[6:8])
rows <- t(matrix(readBin(a[1], "double", n * d), d, n))
full <- a[5] == "full"
unit <- array(diag(d), c(d, d, k))
variance <- if (full) list(modelName = "VVV", d = d, G = k, sigma = unit, cholsigma = unit) else
  list(modelName = "VVI", d = d, G = k, sigma = unit, scale = rep(1, k), shape = matrix(1, d, k))
start <- list(pro = rep(1 / k, k), mean = t(rows[1:k, , drop = FALSE]), variance = variance)
run <- function(iterations) em(modelName = if (full) "VVV" else "VVI", data = rows, parameters = start,
                               control = emControl(tol = c(0, 0), itmax = c(iterations, iterations), eps = 0))
seconds <- function(iterations) system.time(found <<- suppressWarnings(run(iterations)))[["elapsed"]]
for (i in seq_len(steps[3])) {
  shorter <- seconds(steps[1])
  cat((seconds(steps[2]) - shorter) / (steps[2] - steps[1]), "")
}
# mclust reports the log-likelihood of the params before its last M-step: take it at the ones it returns
cat(format(sum(dens(rows, modelName = found$modelName, parameters = found$parameters, logarithm = TRUE)), digits = 13), "\n")
