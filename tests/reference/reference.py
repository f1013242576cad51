"""Reference values for small convex problems, by solvers that have nothing to do with this project.

Run by hand, in a virtual environment with numpy, cvxpy and scikit-learn, in this folder:

    python reference.py

It writes the data (`D.csv`, `x.csv`, ...) and `optima.csv`: the least value of each problem. Interior-point values (Clarabel) are
polished to about 1e-9 relative; where scikit-learn has the problem, its coordinate descent must agree to 1e-8.
"""

import cvxpy as cp
import numpy as np
from sklearn.linear_model import ElasticNet, Lasso, LogisticRegression

rng = np.random.default_rng(7)
m, n = 12, 20
D = np.round(rng.normal(size=(m, n)), 3)
x = np.round(D[:, [2, 5, 11]] @ [1.5, -2.0, 1.0] + 0.3 * rng.normal(size=m), 3)
signs = np.where(D @ rng.normal(size=n) + 0.5 * rng.normal(size=m) > 0, 1.0, -1.0)
signal = np.round(np.repeat([0.0, 1.0, 0.4, 2.0, 1.5], 6) + 0.2 * rng.normal(size=30), 3)
image = np.round(np.kron([[0.0, 1.0], [0.6, 0.2]], np.ones((4, 4))) + 0.2 * rng.normal(size=(8, 8)), 3)
table = np.round(np.outer(rng.normal(size=6), rng.normal(size=5)) + 0.1 * rng.normal(size=(6, 5)), 3)
A, b = D[:, :8], x  # more rows than columns

for name, array in dict(D=D, x=x, signs=signs, signal=signal, image=image, table=table).items():
    np.savetxt(f"{name}.csv", array, delimiter=",", fmt="%g")

optima = {}


def least(name, objective, constraints=()):
    problem = cp.Problem(cp.Minimize(objective), list(constraints))
    # The tightest tolerance that the solver reaches.
    for tolerance in (1e-13, 1e-12, 1e-11, 1e-10, 1e-9):
        problem.solve(solver=cp.CLARABEL, tol_gap_abs=tolerance, tol_gap_rel=tolerance, tol_feas=tolerance)
        if problem.status == "optimal":
            break
    assert problem.status == "optimal", (name, problem.status)
    optima[name] = problem.value
    return problem.value


def agree(name, value):
    assert abs(optima[name] - value) <= 1e-8 * max(1, abs(value)), (name, optima[name], value)


y = cp.Variable(n)
fit = 0.5 * cp.sum_squares(x - D @ y)
c = 0.5

least("lasso", fit + c * cp.norm1(y))
w = Lasso(alpha=c / m, fit_intercept=False, tol=1e-14, max_iter=1_000_000).fit(D, x).coef_
agree("lasso", 0.5 * np.sum((x - D @ w) ** 2) + c * np.abs(w).sum())

least("nonnegative_lasso", fit + c * cp.norm1(y), [y >= 0])
w = Lasso(alpha=c / m, fit_intercept=False, positive=True, tol=1e-14, max_iter=1_000_000).fit(D, x).coef_
agree("nonnegative_lasso", 0.5 * np.sum((x - D @ w) ** 2) + c * np.abs(w).sum())

least("elastic_net", fit + c * cp.norm1(y) + 0.4 * cp.sum_squares(y))
alpha = (c + 0.8) / m
w = ElasticNet(alpha=alpha, l1_ratio=c / (c + 0.8), fit_intercept=False, tol=1e-14, max_iter=1_000_000).fit(D, x).coef_
agree("elastic_net", 0.5 * np.sum((x - D @ w) ** 2) + c * np.abs(w).sum() + 0.4 * np.sum(w**2))

least("group_lasso", fit + c * sum(cp.norm(y[2 * i : 2 * i + 2]) for i in range(n // 2)))
least("max_norm", fit + c * cp.norm_inf(y))
least("simplex", fit, [y >= 0, cp.sum(y) == 1])
least("box", fit, [y >= -0.5, y <= 0.25])
least("ball2", fit, [cp.norm(y) <= 0.8])
least("ball1", fit, [cp.norm1(y) <= 1.5])
least("nonnegative_squares", fit, [y >= 0])
least("huber", cp.sum(cp.huber(x - D @ y, 0.1)) / 2 + c * cp.norm1(y))
least("ridge", fit + 0.3 * cp.sum_squares(y))

# On the simplex; the solver's own value is infinite where a number is a rounding below 0.
problem = cp.Problem(cp.Minimize(fit - c * cp.sum(cp.entr(y))), [cp.sum(y) == 1])
problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
w = np.maximum(y.value, 1e-300) / np.sum(np.maximum(y.value, 0))
optima["entropy"] = 0.5 * np.sum((x - D @ w) ** 2) + c * np.sum(w * np.log(w))

z = cp.Variable(8)
least("squares", 0.5 * cp.sum_squares(b - A @ z))
agree("squares", 0.5 * np.linalg.lstsq(A, b, rcond=None)[1][0])

least("logistic", cp.sum(cp.logistic(-cp.multiply(signs, D @ y))) + c * cp.norm1(y))
model = LogisticRegression(l1_ratio=1, C=1 / c, solver="saga", fit_intercept=False, tol=1e-12, max_iter=10_000_000)
w = model.fit(D, signs).coef_[0]
agree("logistic", np.sum(np.log1p(np.exp(-signs * (D @ w)))) + c * np.abs(w).sum())

u = cp.Variable(30)
least("total_variation", 0.5 * cp.sum_squares(u - signal) + 0.3 * cp.norm1(cp.diff(u)))
U = cp.Variable((8, 8))
jumps = cp.sum(cp.abs(U[1:, :] - U[:-1, :])) + cp.sum(cp.abs(U[:, 1:] - U[:, :-1]))
least("image_variation", 0.5 * cp.sum_squares(U - image) + 0.15 * jumps)

T = cp.Variable((6, 5))
least("nuclear", 0.5 * cp.sum_squares(T - table) + c * cp.normNuc(T))
s = np.linalg.svd(table, compute_uv=False)
k = np.maximum(s - c, 0)
agree("nuclear", 0.5 * np.sum((k - s) ** 2) + c * k.sum())

with open("optima.csv", "w") as file:
    file.write(",".join(optima) + "\n")
    file.write(",".join(f"{value:.12g}" for value in optima.values()) + "\n")
for name, value in optima.items():
    print(f"{name:22} {value:.12g}")
