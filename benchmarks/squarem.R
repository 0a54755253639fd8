# R's SQUAREM on a map that another process evaluates: Rscript squarem.R PORT P OBJECTIVE(0|1) TOLERANCE MAX
suppressMessages(library(SQUAREM))
a <- commandArgs(TRUE)
p <- as.integer(a[2])
link <- socketConnection(port = as.integer(a[1]), open = "r+b", blocking = TRUE, timeout = 600)
ask <- function(what, par, size) { writeBin(c(what, par), link); readBin(link, "double", size) }
map <- function(par) { image <- ask(1, par, p); if (anyNA(image)) stop("outside"); image }
objective <- function(par) { value <- ask(2, par, 1); if (is.finite(value)) -value else 1e300 }
start <- readBin(link, "double", p)
control <- list(tol = as.numeric(a[4]), maxiter = as.integer(a[5]))
found <- if (a[3] == "1") squarem(start, map, objective, control = control) else squarem(start, map, control = control)
writeBin(c(3, found$par), link)
writeBin(as.numeric(c(found$fpevals, found$convergence)), link)
close(link)
