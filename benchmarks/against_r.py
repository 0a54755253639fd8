"""Half-seen data beside R, in one run: prints a table.

Needs Rscript with survival and MASS (Debian: r-base-core, r-cran-survival, r-cran-mass). R prints its own copies of the
data, so both fit the same numbers. Censored data against survreg; missing cells of a bivariate normal against an
optimiser of the observed likelihood (optim, BFGS).
"""

import json
import shutil
import subprocess

import numpy as np

import latens as lt

R = r"""
suppressMessages({library(survival); library(MASS)})
show <- function(name, x) cat(sprintf('"%s": [%s],\n', name, paste(sprintf("%.15g", x), collapse = ", ")))
tight <- survreg.control(rel.tolerance = 1e-13, maxiter = 200)
one <- function(name, formula, data, dist) {
  fit <- survreg(formula, data, dist = dist, control = tight)
  show(name, c(coef(fit), fit$scale, fit$loglik[2], sqrt(diag(vcov(fit)))))
}
cat("{\n")
show("aml time", aml$time); show("aml status", aml$status)
show("motors time", motors$time); show("motors cens", motors$cens)
show("tobin", tobin$durable)
one("aml exponential", Surv(time, status) ~ 1, aml, "exponential")
one("aml weibull", Surv(time, status) ~ 1, aml, "weibull")
one("motors lognormal", Surv(time, cens) ~ 1, motors, "lognormal")
one("motors weibull", Surv(time, cens) ~ 1, motors, "weibull")
one("tobin gaussian", Surv(durable, durable > 0, type = "left") ~ 1, tobin, "gaussian")
size <- c(8, 6, 11, 22, 14, 17, 18, 24, 19, 23, 26, 40, 4, 4, 5, 6, 8, 10)
worms <- c(59, 58, 56, 53, 50, 45, 43, 42, 39, 38, 30, 27, rep(NA, 6))
minus <- function(u) {
  s1 <- exp(u[3]); s2 <- exp(u[4]); rho <- tanh(u[5]); o <- !is.na(worms)
  -sum(dnorm(size, u[1], s1, log = TRUE)) -
    sum(dnorm(worms[o], u[2] + rho * s2 / s1 * (size[o] - u[1]), s2 * sqrt(1 - rho^2), log = TRUE))
}
best <- list(par = c(15, 45, 2, 2, -0.5))
fine <- list(reltol = 1e-16, maxit = 5000, ndeps = rep(1e-5, 5))
for (i in 1:5) best <- optim(best$par, minus, method = "BFGS", control = fine)
u <- best$par
show("apples", c(u[1], u[2], exp(2 * u[3]), tanh(u[5]) * exp(u[3] + u[4]), exp(2 * u[4]), -best$value))
cat(sprintf('"versions": ["%s", "%s"]\n}\n', getRversion(), packageVersion("survival")))
"""
TIGHT = lt.Stop(tolerance=1e-10)


def fits(r: dict[str, list[float]]) -> dict[str, tuple[list[float], list[float]]]:
    """Name → (ours, R's), in R's parameters and as far as both are there."""
    aml = lt.right_censored(r["aml time"], r["aml status"])
    motors = lt.right_censored(r["motors time"], r["motors cens"])
    tobin = lt.left_censored(r["tobin"], np.array(r["tobin"]) > 0)
    found = {}

    def put(name: str, family: lt.AbstractFamily, data: object, to_r: object) -> None:
        fit = lt.fit(lt.IID(family), data, stop=TIGHT)
        derived = fit.derive(to_r)
        ours = [*derived.estimate, fit.log_likelihood, *derived.standard_error]
        theirs = r[name]
        if name == "aml exponential":
            theirs = [theirs[0], theirs[2], theirs[3]]  # its scale is 1
        else:
            # R gives the error of the logarithm of the scale
            theirs = [theirs[0], np.log(theirs[1]), *theirs[2:]]
        found[name] = (ours, theirs)

    import jax.numpy as jnp

    def log_normal(p: dict[str, object]) -> object:
        return jnp.stack([p["mean"], 0.5 * jnp.log(p["variance"])])

    def weibull(p: dict[str, object]) -> object:
        return jnp.stack([jnp.log(p["scale"]), -jnp.log(p["shape"])])

    put("aml exponential", lt.Exponential(), aml, lambda p: -jnp.log(p["rate"])[None])
    put("aml weibull", lt.Weibull(), aml, weibull)
    put("motors lognormal", lt.LogNormal(), motors, log_normal)
    put("motors weibull", lt.Weibull(), motors, weibull)
    put("tobin gaussian", lt.Normal(), tobin, log_normal)
    table = {"size": [8, 6, 11, 22, 14, 17, 18, 24, 19, 23, 26, 40, 4, 4, 5, 6, 8, 10]}
    table["worms"] = [59, 58, 56, 53, 50, 45, 43, 42, 39, 38, 30, 27, *[float("nan")] * 6]
    fit = lt.fit(lt.IID(lt.MultivariateNormal(2)), table, stop=TIGHT)
    cells = fit.params["covariance"][[0, 0, 1], [0, 1, 1]]
    found["apples"] = ([*fit.params["mean"], *cells, fit.log_likelihood], r["apples"])
    return found


def main() -> None:
    """Print the table, or why there is none."""
    if shutil.which("Rscript") is None:
        print("Against R: not measured, there is no Rscript on this machine.")
        return
    ran = subprocess.run(["Rscript", "-e", R], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        print(f"Against R: not measured, Rscript failed: {ran.stderr.strip().splitlines()[-1]}")
        return
    r = json.loads(ran.stdout)
    versions = f"R {r['versions'][0]}, survival {r['versions'][1]}"
    print(f"Beside {versions} (`benchmarks/against_r.py`): estimates, log-likelihood and standard errors (of the")
    print("intercept and the logarithm of the scale; for the apples estimates and log-likelihood).")
    print()
    print("| data and model | ours | R | largest relative difference |")
    print("|---|---|---|---|")
    for name, (ours, theirs) in fits(r).items():
        apart = max(abs(a - b) / max(abs(b), 1e-3) for a, b in zip(ours, theirs, strict=True))
        shown = [", ".join(f"{v:.7g}" for v in values) for values in (ours, theirs)]
        print(f"| {name} | {shown[0]} | {shown[1]} | {apart:.0e} |")


if __name__ == "__main__":
    main()
