// EM of a Gaussian mixture by Armadillo: armadillo ROWS.bin N D K full|diagonal SHORT LONG PAIRS
// Prints seconds per iteration, one for each pair of runs, then the log-likelihood after LONG iterations.
#include <armadillo>
#include <chrono>
#include <cstdio>

template <class Model, class Covariances>
void measure(const arma::mat& rows, const arma::mat& means, const Covariances& start, arma::uword k, const int* steps) {
  Model model;
  auto seconds = [&](int iterations) {
    model.set_params(means, start, arma::rowvec(k, arma::fill::value(1.0 / k)));
    auto began = std::chrono::steady_clock::now();
    model.learn(rows, k, arma::eucl_dist, arma::keep_existing, 0, iterations, 1e-10, false);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  };
  for (int i = 0; i < steps[2]; ++i) {
    double shorter = seconds(steps[0]);
    std::printf("%.6f ", (seconds(steps[1]) - shorter) / (steps[1] - steps[0]));
  }
  std::printf("%.12g\n", model.sum_log_p(rows));
}

int main(int, char** a) {
  arma::uword n = std::stoul(a[2]), d = std::stoul(a[3]), k = std::stoul(a[4]);
  arma::mat rows(d, n);
  std::FILE* file = std::fopen(a[1], "rb");
  if (std::fread(rows.memptr(), sizeof(double), n * d, file) != n * d) return 1;
  const int steps[] = {std::stoi(a[6]), std::stoi(a[7]), std::stoi(a[8])};
  arma::mat means = rows.head_cols(k), ones(d, k, arma::fill::ones);
  arma::cube identities(d, d, k);
  identities.each_slice() = arma::eye(d, d);
  if (std::string(a[5]) == "full") measure<arma::gmm_full>(rows, means, identities, k, steps);
  else measure<arma::gmm_diag>(rows, means, ones, k, steps);
}
