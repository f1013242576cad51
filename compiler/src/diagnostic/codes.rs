//! Every code with its explanation, as `dp explain` shows it. Rows are in the order of the codes.

use super::Code;

/// One code: what the message means, and what to do.
pub struct Row {
    pub code: Code,
    pub title: &'static str,
    pub explanation: &'static str,
}

/// All codes.
pub const ROWS: &[Row] = &[
    Row {
        code: Code("E0101"),
        title: "a script that cannot be read",
        explanation: "A script, or a module named by `use`, is a text file in UTF-8 of at most 16 MiB. `use a.b` \
            reads the file `a/b.dp` beside the script; the standard library is in force without `use`.",
    },
    Row {
        code: Code("E0102"),
        title: "modules that use each other in a circle",
        explanation: "The names of a module must be known before those of the modules that use it. Move what both \
            need into a third module.",
    },
    Row {
        code: Code("E0201"),
        title: "unexpected text",
        explanation: "The text does not follow the grammar here. The message names what was found and what could stand \
            in its place. A statement ends with its line unless the line ends with an operator, a comma or an open \
            bracket, or the next line begins with an operator other than `-`. Forms that extend to the right (`if`, \
            `fn`, `unroll`, `trace`, `implicit`, `derive`, `train`) need parentheses as operands: \
            `assert a == (unroll f(x) for 3)`.",
    },
    Row {
        code: Code("E0202"),
        title: "unknown characters",
        explanation: "Some characters mean nothing in the language, or mean something in other languages only. Logical \
            operators are the words `and`, `or`, `not`; strings stand in straight double quotes; comments begin with \
            `#`.",
    },
    Row {
        code: Code("E0203"),
        title: "malformed number",
        explanation: "A number has digits on both sides of its point (`1.0`, `0.5`), may have an exponent (`1e-3`) and \
            underscores between digits (`1_000`). An integer fits into 64 bits, a real is finite.",
    },
    Row {
        code: Code("E0204"),
        title: "malformed string",
        explanation: "A string stands in double quotes on one line. Known escape sequences are `\\n`, `\\t`, `\\r`, \
            `\\\"`, `\\\\` and `\\u{3b8}` with the hexadecimal number of a character.",
    },
    Row {
        code: Code("E0205"),
        title: "nested too deeply",
        explanation: "Brackets, chains of prefix operators, of `^`, `@` or `else if`, and chains of calls or indices may \
            be nested 256 levels deep. Give parts of the expression names with `let`.",
    },
    Row {
        code: Code("E0206"),
        title: "brackets do not match",
        explanation: "Each `(`, `[` and `{` needs its closing bracket. Where one is missing, a line that begins with \
            `let` or with a definition ends an open `(` or `[`, and indentation tells where an open `{` was meant to \
            end.",
    },
    Row {
        code: Code("E0207"),
        title: "a statement that cannot stand here",
        explanation: "A block holds `let`s (in a network also `param`s, first) and ends with an expression, its value. \
            `step`, `loop` and `update` hold `let`s and assignments `state <- value`; a place that is assigned is a name \
            with indices and fields.",
    },
    Row {
        code: Code("E0208"),
        title: "unknown type",
        explanation: "Types are `real`, `int`, `bool`, `key` and `string`, arrays such as `real[m, n]`, tuples, records \
            `{ a: real }` and functions `fn(real[n]) -> real`. The precision of `real` is chosen for the whole run.",
    },
    Row {
        code: Code("E0209"),
        title: "a parameter without a type",
        explanation: "Parameters of functions, problems, solvers and networks have types; only those of `fn(x) = ...` \
            need none. A name in the dimensions of a type, as `n` in `real[n]`, stands for any size.",
    },
    Row {
        code: Code("E0210"),
        title: "a problem or solver with parts missing or misplaced",
        explanation: "A problem has `let`s, then `minimize over y: real[n]` (or `maximize`), the objective on the next \
            line, and perhaps `subject to` with constraints. A solver has `let`s, then `state`s with initial values, one \
            `step`, and perhaps `until`.",
    },
    Row {
        code: Code("E0301"),
        title: "a name that is not defined",
        explanation: "No parameter, `let`, definition or built-in function of this name is visible here. Names \
            inside a block, loop or `test` end with it; names of another file come with `use`.",
    },
    Row {
        code: Code("E0302"),
        title: "no such field, or no previous value",
        explanation: "A record has the fields that it was made with; a network has its parameters as fields, and \
            `params`, the record of them all. `previous y` is the value of a state at the beginning of the pass, and \
            only states of the solver or loop around it have one.",
    },
    Row {
        code: Code("E0303"),
        title: "a name used before its line",
        explanation: "The statements of a file run in order. A `let`, an `arg` or a `network NAME = ..` has its \
            value from its line on; functions, problems and solvers may stand anywhere in the file.",
    },
    Row {
        code: Code("E0304"),
        title: "defined twice",
        explanation: "A name has one meaning at the top level of a file, and one among the parameters of a function. \
            Inside blocks a later `let` may take a name anew.",
    },
    Row {
        code: Code("E0305"),
        title: "recursion",
        explanation: "A definition cannot use itself, also not by way of others: programs are compiled for their \
            shapes, and what is compiled must end. `loop` repeats, `unroll` makes layers of a solver's passes.",
    },
    Row {
        code: Code("E0306"),
        title: "not a problem",
        explanation: "`derive` makes a solver of a `problem`. A function is minimized by a solver that takes it as \
            an argument, such as an optimizer.",
    },
    Row {
        code: Code("E0310"),
        title: "the wrong kind of value",
        explanation: "An operator or function was given a value that it does not take: arithmetic takes numbers, \
            `and`, `or`, `not` take bools, `//` and `%` take ints, a condition is one bool, an index is an int. Ints \
            widen to reals by themselves; `real(mask)` makes 0 and 1 of bools; `round`, `floor` and `ceil` make ints of \
            reals.",
    },
    Row {
        code: Code("E0311"),
        title: "a value that is not of the declared type",
        explanation: "The type that was declared (for a parameter, a `let`, a state or a result) and the value are \
            different in kind: a real where an int was declared, an array where a function was. Only ints widen by \
            themselves, to reals.",
    },
    Row {
        code: Code("E0312"),
        title: "an expression that is still to be written",
        explanation: "`?` stands for an expression that is still to be written. The rest of the program is checked, \
            but it cannot run.",
    },
    Row {
        code: Code("E0313"),
        title: "not a network",
        explanation: "`train` changes networks, and `network NAME = ..` names one: an `unroll` with `learn`, another \
            network, `first(net, k)`. `learn` stands only where the network gets its name.",
    },
    Row {
        code: Code("E0314"),
        title: "`train` inside a function",
        explanation: "A training changes the parameters of networks in place. Such effects stand at the top level of \
            a file; what is to be differentiated through a training is written as a solver.",
    },
    Row {
        code: Code("E0315"),
        title: "a value that is not there yet",
        explanation: "This needs a value that depends on an argument left open with `_`, which has none before the \
            call. Bind the argument, or give data to start from with `from`.",
    },
    Row {
        code: Code("E0316"),
        title: "`param` or a template where it cannot stand",
        explanation: "`param` stands at the top of a network's block, before its lets. It is an array with a type, \
            `param W: real[m, n] = glorot`, or an instance of a network template, `param layer = dense(3, 4)`. At the \
            top level `network NAME = dense(3, 4)` makes an instance. Functions and the bodies of networks cannot: \
            each call would make new parameters.",
    },
    Row {
        code: Code("E0317"),
        title: "an assignment to what is not a state",
        explanation: "`<-` assigns states: those of the `loop` or solver around it, in `update` also those of the \
            training and parameters of networks. A `let` keeps its value; a new value gets a new name.",
    },
    Row {
        code: Code("E0318"),
        title: "a value that cannot be taken apart",
        explanation: "`let (a, b) = ..` takes a tuple apart, with as many names as it has parts. Keys made by \
            `split(k, n)` are taken apart in the same way.",
    },
    Row {
        code: Code("E0319"),
        title: "types that do not meet",
        explanation: "The branches of an `if`, the elements of an array and the values of a state from pass to pass \
            have one type. Ints widen to reals, a scalar branch takes the shape of the other one, nothing else \
            changes.",
    },
    Row {
        code: Code("E0320"),
        title: "an argument of the wrong form",
        explanation: "`e for i in n` is the only argument of a reduction; `each` marks arguments of calls, not of \
            `unroll`: leave the argument open with `_`, and map the function that this makes.",
    },
    Row {
        code: Code("E0321"),
        title: "arguments that do not match the parameters",
        explanation: "A call gives the arguments in the order of the parameters, then others by name (`lr: 0.1`). \
            Parameters with a default value may be left out; `_` leaves one open and makes a function of it. `wrt:` \
            takes a parameter's name, or a tuple of names.",
    },
    Row {
        code: Code("E0322"),
        title: "a rule that does not match its function",
        explanation: "`derivative f(x, t; dx, dt) = ..` names the parameters of `f` in order and then their \
            tangents, and gives the tangent of the result. `prox g(v, a; t) = ..` names the parameters of `g`, then the \
            step, and gives a value like the first parameter.",
    },
    Row {
        code: Code("E0323"),
        title: "not a solver",
        explanation: "`unroll`, `implicit` and `trace` take a call of a solver: `unroll ista(x, D, c) for 16`. \
            `using` takes an optimizer: a solver whose first two parameters are the objective and the start, one \
            vector.",
    },
    Row {
        code: Code("E0324"),
        title: "a derivative in what is not real",
        explanation: "Derivatives are taken in reals, arrays, tuples and records of reals. Ints, bools and keys have \
            no tangent; name the real parameters with `wrt:`.",
    },
    Row {
        code: Code("E0325"),
        title: "no derivative",
        explanation: "A step on the way from the arguments to the result has no derivative rule. `stop_gradient` \
            leaves it out of the derivative; a `derivative` declaration gives it one.",
    },
    Row {
        code: Code("E0326"),
        title: "a gradient of more than one real",
        explanation: "`grad`, `hessian` and the objectives of problems and trainings are of one real. `sumsq`, `sum` \
            or `mean` makes one real of many; `jacobian`, `jvp` and `vjp` differentiate arrays.",
    },
    Row {
        code: Code("E0327"),
        title: "a solver without a stop rule",
        explanation: "A call of a solver runs until its rule holds, so that it must have one: `until norm(y - \
            previous y) <= tol`. `unroll s(..) for K` runs a fixed number of passes.",
    },
    Row {
        code: Code("E0328"),
        title: "parameters that do not fit the network",
        explanation: "`at(net, p)` takes a record with the names and shapes of `net.params`, or one vector as long \
            as `flat(net.params)`.",
    },
    Row {
        code: Code("E0329"),
        title: "a name that cannot be learned",
        explanation: "`learn` lifts lets of the solver and bound arguments, all of them reals, to parameters that \
            start at their own values. A let inside `step` has one value a pass and is learned as `each v`; a let that \
            depends on an open argument needs data to start from: `learn v from X`. States are not learned.",
    },
    Row {
        code: Code("E0330"),
        title: "a draw without a key",
        explanation: "Functions are pure: the same arguments give the same result. At the top level, in the body of \
            `train` and in initial values of parameters draws need no key; elsewhere take a parameter `k: key` and write \
            `normal(n, key: k)`. `split(k, 2)` makes two keys of one.",
    },
    Row {
        code: Code("E0331"),
        title: "an effect inside a function",
        explanation: "`load`, `save`, `plot`, `files` and their like act on the world around the program. They stand \
            at the top level, as statements or as the value of a `let`.",
    },
    Row {
        code: Code("E0332"),
        title: "unknown precision",
        explanation: "`precision f32` or `precision f64` at the top of a file chooses the precision of all reals of \
            a run; `--precision` on the command line overrides it.",
    },
    Row {
        code: Code("E0333"),
        title: "no proximal operator",
        explanation: "`prox(f)` is the operator declared for `f` by `prox f(v, a; t) = ..`: the u that minimizes \
            t * f(u, a) + 1/2 * sumsq(u - v). std declares those of norms, counts, boxes, balls, the simplex and others.",
    },
    Row {
        code: Code("E0334"),
        title: "a method that cannot be filled in",
        explanation: "A method is a solver over functions that `derive` fills in: `method m(f: smooth, g: proximable) \
            over v { .. }`. The roles are smooth (`f(v)`, `grad(f)(v)`, `lipschitz(f)`), quadratic (also `prox(f)(v, t)`), \
            proximable (`prox(g)(v, t)`, `prox(conjugate(g))(v, t)`), `proximable of K` (also `K(v)`, `adjoint(K)(u)`, \
            `opnorm(K)`), linear and entropic; each block is a state, which begins at `start`.",
    },
    Row {
        code: Code("E0335"),
        title: "a key that is used twice",
        explanation: "A key names its draws: two draws with one key give the same numbers, and so does one draw that is made again in \
            each pass of a loop. `split(k, 2)` makes two keys of one, `fold_in(k, i)` a key for each number i; after that \
            the key itself is not drawn from. At the top level, where a draw needs no key, a key may be used again.",
    },
    Row {
        code: Code("E0340"),
        title: "a constraint without a projection",
        explanation: "A solver keeps a constraint by projecting on it. Known are `A @ y == b`, `y >= 0`, `y <= hi`, `lo <= y`, bounds of \
            `norm2(y)`, `norm1(y)`, `max(abs(y))` and `count(y)`, the same of linear maps of y, and `y in f` for a function f with a proximal operator, such \
            as `simplex`. A set of your own is a function with its projection: `prox f(v; t) = ..`.",
    },
    Row {
        code: Code("E0341"),
        title: "a term without a place in the method",
        explanation: "A method takes terms in roles: by their gradient, by their proximal operator, or by their proximal \
            operator after a linear map. The message names the term that fits none, the reason, and two ways out. \
            `dp derive FILE PROBLEM --explain` shows what each term is.",
    },
    Row {
        code: Code("E0343"),
        title: "a name that hides a function of the solver",
        explanation: "The parameters of a problem are those of its solver. One that has the name of a function that the \
            solver must call, such as `norm`, needs another name.",
    },
    Row {
        code: Code("E0344"),
        title: "no step size",
        explanation: "The step of a gradient method follows from a bound of how fast the gradient changes. It is found for \
            squares, for sums of functions such as `softplus`, and their compositions with linear maps. For other terms take a \
            method that finds its step on the way, such as `backtracking_proximal_gradient`.",
    },
    Row {
        code: Code("E0345"),
        title: "no exact minimizer",
        explanation: "Some methods minimize the quadratic terms exactly, by a linear solve with the matrix of their map. Where \
            the map is not written with matrices, take a method that needs gradients only.",
    },
    Row {
        code: Code("E0346"),
        title: "an objective without a solution",
        explanation: "The objective is seen to fall without end, does not depend on what is minimized over, or is written in \
            a form that cannot be read as operations on whole arrays.",
    },
    Row {
        code: Code("E0347"),
        title: "something odd in a problem",
        explanation: "A warning: data that no term uses, a term that is constant in every block, a weight of 0, a constraint \
            that another one implies, a logarithm without a value where the blocks start. The solver is derived all the same.",
    },
    Row {
        code: Code("E0350"),
        title: "a method for the simplex, and a block that is not on it",
        explanation: "Mirror descent takes multiplicative steps, which keep a vector on the simplex: no negative elements, and \
            a sum of 1. The problem must say that its blocks are there.",
    },
    Row {
        code: Code("E0355"),
        title: "a learned step",
        explanation: "A warning: all layers of a network share one learned step of a derived solver. The solver computes its step so \
            that the passes converge, and training may move it out of that range. Learn what the step is computed from (a learned `D` \
            gives a new step), or give each layer a step of its own, `learn each t`. `dp derive FILE P --explain` says what learning \
            each quantity keeps.",
    },
    Row {
        code: Code("E0356"),
        title: "a step that is too long",
        explanation: "A warning: passes of gradient descent grow without end if the step is longer than 2 / L, where the gradient \
            changes by at most L a unit. It is seen when a method is filled in, if step and L are known as numbers, and after a run that \
            never met its rule and has no finite result. `1 / lipschitz(f)` in a method is a step that is safe.",
    },
    Row {
        code: Code("E0357"),
        title: "a recorded name that hides another",
        explanation: "A warning: in the record of `trace s(..) for K { .. }` the names of the solver stand before those around it. A \
            parameter or let of the function around it with the same name is not seen there: give it another name before.",
    },
    Row {
        code: Code("E0358"),
        title: "a truncation that stops short",
        explanation: "A warning of `dp check --data FILE`: the passes of a truncated derived solver go less than 99 percent of the way \
            from the objective's start to its least value, on the data that the script calls it with. It says how far they go, and how \
            many passes go 90 and 99 percent. Up to four samples of a batch are looked at. The least value is looked for by running on \
            until twice as many passes change nothing, and by the accelerated form of the method. Take more passes, an accelerated \
            method, or train the passes as a network.",
    },
    Row {
        code: Code("E0360"),
        title: "nothing that can be drawn",
        explanation: "`dp graph` draws solvers, networks and functions, and forms of solvers such as `unroll s(_, D) for 10`. Of a \
             problem it draws the solver that is derived from it: give that a name in the file, `solver s = derive P`.",
    },
    Row {
        code: Code("E0361"),
        title: "no such part of a network",
        explanation: "`net.part` names an instance in a network that is written by hand: a `param` without a type, such as \
             `param inner = dense(784, 64)`. Arrays, and lets of an unrolled solver, are drawn with the network itself.",
    },
    Row {
        code: Code("E0362"),
        title: "no such parameter to draw as an input",
        explanation: "`dp graph FILE NAME --inputs x,D` names parameters of the solver, network or function. All others are taken \
             as known: they stand in the boxes, and below the picture.",
    },
    Row {
        code: Code("E0363"),
        title: "a picture with too many boxes",
        explanation: "With `--layers all` every layer is drawn. Of a deep network look at `--layers ends`, which draws the first \
             and the last layer, or at one layer with arrows back, which is what `dp graph` draws by itself.",
    },
    Row {
        code: Code("E0401"),
        title: "operands of a primitive do not fit",
        explanation: "The shapes or kinds that a primitive operation was given do not fit it. The message names the \
            operation, and what it needs.",
    },
    Row {
        code: Code("E0402"),
        title: "shapes that do not meet",
        explanation: "Elementwise operators take operands of equal shapes, or a scalar and any array, or an array \
            whose shape ends in that of the other: `real[m, n]` meets `real[n]`. Nothing else is stretched: `diag(w) @ \
            A` scales rows, `reshape` and `broadcast` change shapes.",
    },
    Row {
        code: Code("E0403"),
        title: "a size that is not a known int",
        explanation: "Dimensions, ranges and numbers of passes are static ints: numbers, dimension names, `arg`s, \
            top-level ints, parameters that are given such values, and arithmetic of these. What is computed from data \
            cannot be a size inside a function.",
    },
    Row {
        code: Code("E0404"),
        title: "an int out of range",
        explanation: "A size or count is negative or divides by zero, or an int leaves the range of 64 bits.",
    },
    Row {
        code: Code("E0405"),
        title: "a product or transpose of shapes that do not fit",
        explanation: "`A @ x` sums over the last dimension of A and the first of x (of a matrix, the one before the \
            last), which must be equal. `A'` swaps the last two dimensions; a vector has no transpose, since `x @ A` \
            multiplies from the left and `x @ y` is the inner product. Scalars are multiplied with `*`.",
    },
    Row {
        code: Code("E0406"),
        title: "a shape that is not the declared one",
        explanation: "An argument, a value or a result has another shape than was declared. A name in the types of \
            parameters stands for one size in the whole call: in `f(x: real[m], D: real[m, n])` the length of x is the \
            number of rows of D.",
    },
    Row {
        code: Code("E0407"),
        title: "an index or axis out of range",
        explanation: "An array has as many indices as dimensions, at most; indices and axes count from 0. `x[a:b]` \
            takes the elements from a up to, not including, b.",
    },
    Row {
        code: Code("E0408"),
        title: "nothing to take a value of",
        explanation: "The maximum, minimum, mean or quantile of no elements does not exist. The sum of none is 0, \
            the product 1.",
    },
    Row {
        code: Code("E0409"),
        title: "`each` over arrays that do not go together",
        explanation: "`f(each X, each Y)` takes X and Y apart along their leading axes, together: both need one, and \
            of the same size. The data of a training go together in the same way. An argument that is the same for all \
            is given without `each`.",
    },
    Row {
        code: Code("E0410"),
        title: "a lifted function without a scalar result",
        explanation: "An array given for a scalar parameter means: apply the function to each element. The result of \
            the function must then be a scalar. `f(each X)` maps functions with any result over a leading axis.",
    },
    Row {
        code: Code("E0411"),
        title: "a state whose shape changes",
        explanation: "A state keeps its shape from pass to pass. What is assigned to it has that shape, or fills it \
            by the broadcasting rule: `state y: real[n] = 0` begins as n zeros.",
    },
    Row {
        code: Code("E0412"),
        title: "arrays that cannot be rearranged so",
        explanation: "`reshape` keeps the number of elements; `concat` joins arrays that agree in all dimensions but \
            the one along which they are joined; `broadcast` stretches to a shape that ends in the array's own; a \
            network has so many layers and parameters, not more.",
    },
    Row {
        code: Code("E0413"),
        title: "a window that does not fit",
        explanation: "A convolution takes an image and a kernel with as many axes, or channels `real[c, h, w]` and \
            kernels `real[o, c, p, q]` for as many channels. Without padding the kernel lies inside the image, and so does the \
            window of a pooling. Strides and dilations are at least 1. Padding that mirrors or repeats an array adds at \
            most its own elements.",
    },
    Row {
        code: Code("E0501"),
        title: "an int divided by zero",
        explanation: "`//` and `%` of ints have no value when the divisor is 0. `if b == 0 then .. else a // b` \
            evaluates one side only. Division of reals with `/` gives an infinity or NaN instead.",
    },
    Row {
        code: Code("E0502"),
        title: "an index out of range",
        explanation: "Every index is checked, in the run where it is known only then. Indices start at 0; the last \
            element of n is n - 1; negative indices do not count from the end; a range `a:b` lies inside the axis.",
    },
    Row {
        code: Code("E0503"),
        title: "a solver stopped at its cap",
        explanation: "The solver made as many passes as `within` allows, and its rule did not hold yet, so that the \
            result is not as accurate as the rule asks for. Raise the cap, loosen the rule, or say `unroll s(..) for \
            K` if a fixed number of passes is meant.",
    },
    Row {
        code: Code("E0504"),
        title: "a number that is not finite",
        explanation: "With `--check-nan` a statement whose value has a NaN or an infinity stops the run. The message \
            names the first operation that made one of finite numbers: a logarithm or root of a negative number, a \
            division by zero, an overflow.",
    },
    Row {
        code: Code("E0505"),
        title: "a singular matrix",
        explanation: "`solve(A, b)` needs a matrix that can be inverted: its rows are independent; so do the derivatives \
            of `det`, `slogdet` and `qr`. `cholesky(A)` needs a positive definite one. Adding a small multiple of `eye(n)` \
            makes a symmetric matrix regular, or positive definite if no eigenvalue is far below 0. The derivative of \
            `implicit` solves such a system too.",
    },
    Row {
        code: Code("E0506"),
        title: "interrupted",
        explanation: "The run was stopped by Ctrl-C. A training leaves a checkpoint; the same command with \
            `--resume` goes on from there to the same numbers as a run that was not interrupted.",
    },
    Row {
        code: Code("E0507"),
        title: "no implicit derivative",
        explanation: "`implicit s(..)` differentiates the equation that the states satisfy at the fixed point. The \
            solver stopped at its cap before its rule held, so there is no such point. Raise `within`, or \
            differentiate the passes themselves with `unroll`.",
    },
    Row {
        code: Code("E0508"),
        title: "a derivative that does not exist",
        explanation: "A decomposition was differentiated where it is not smooth: equal singular values or eigenvalues have \
            no separate vectors, and a singular value of zero leaves its vectors open. The values themselves are \
            differentiable there, and functions that use only them. A function of the matrix that is smooth there all the \
            same is found by `on_singular_values(f, A)` or `on_eigenvalues(f, A)`, whose derivatives need no vectors.",
    },
    Row {
        code: Code("E0509"),
        title: "an assertion that does not hold",
        explanation: "The script stopped at an `assert` that is false. For a comparison the message shows both sides.",
    },
    Row {
        code: Code("E0510"),
        title: "derivatives that disagree",
        explanation: "`check_grad(f, x)` compares the derivative of a function in forward and reverse mode with \
            differences of its values. They differ by more than allowed: a `derivative` that was declared is wrong, \
            or the function is not smooth at the point.",
    },
    Row {
        code: Code("E0511"),
        title: "not the proximal operator",
        explanation: "`prox f(v; t) = ..` must give the u that minimizes t * f(u) + 1/2 * sumsq(u - v). A point was found where \
            this is smaller, by more than rounding. Common causes are a missing factor 2 (the operator of `sumsq` is v / (1 + 2t)), \
            a step that is not scaled with a weight, and an operator of f / t instead of t * f.",
    },
    Row {
        code: Code("E0512"),
        title: "an operator that is not linear",
        explanation: "`solve_by(method, A, b)` solves A(x) = b for a function A that is linear in its argument: its derivative is \
            the same everywhere. The derivative of this one depends on the place. Products of the argument with itself, `abs`, `max`, \
            conditions on the argument and the like are not linear. A system that is not linear is solved by a solver that \
            linearizes it in each step, as Newton's method does.",
    },
    Row {
        code: Code("E0513"),
        title: "an operator that changes the size of a vector",
        explanation: "In `solve_by(method, A, b)` the operator `A` takes a vector of the size of `b` and gives one of the same size, and \
            so does `method(A, b)`. For a system with more equations than unknowns, `lstsq` or the normal equations, with the \
            operator `fn(v) = A'(A(v))`, are what is meant.",
    },
    Row {
        code: Code("E0601"),
        title: "a program that is too large",
        explanation: "A statement grew beyond the allowed number of equations, usually because a function with many \
            statements is called in many places. Loops, `unroll` and `each` do not grow with their counts.",
    },
    Row {
        code: Code("E0602"),
        title: "too much memory",
        explanation: "An array, or the intermediate values of a statement, would take more memory than allowed. It \
            is refused before it is paid for. Use smaller arrays or batches, keep fewer states in reverse with \
            `checkpoint`, or raise the limit with `--max-mem`.",
    },
    Row {
        code: Code("E0603"),
        title: "calls nested too deeply",
        explanation: "Functions call functions more than 200 deep. Functions cannot call themselves; `loop` repeats.",
    },
    Row {
        code: Code("E0604"),
        title: "an implicit derivative of too many numbers",
        explanation: "The derivative of `implicit s(..)` solves a dense system with as many unknowns as the states \
            have numbers, at most 4096. Differentiate the passes with `unroll` instead, with `checkpoint` if memory \
            is short.",
    },
    Row {
        code: Code("E0699"),
        title: "beyond what the code generator can do",
        explanation: "The code generator refused the statement: a limit of its own, or a processor that it does not \
            know. `--engine reference` runs the program without it, slower.",
    },
    Row {
        code: Code("E0701"),
        title: "training met a number that is not finite",
        explanation: "The objective or the parameters became NaN or infinite in this step. The message names the \
            operation that made it. Lower the learning rate, clip the gradient, or guard the expression; the \
            parameters are those before the step.",
    },
    Row {
        code: Code("E0702"),
        title: "a path that names no parameters",
        explanation: "`train` changes networks: a path is a network, a parameter `net.W`, or one copy of an `each` \
            parameter `net.theta[3]`. Paths after `over` and `for` are among those that are trained, and none is \
            named twice.",
    },
    Row {
        code: Code("E0703"),
        title: "a training with clauses missing or at odds",
        explanation: "A training has an objective (`minimize` or `maximize`), an optimizer (`using adam(1e-3)`), and \
            either `epochs n`, which needs arrays of samples, or `steps n`. What `keep` names is `loss` or recorded, \
            and is one number.",
    },
    Row {
        code: Code("E0704"),
        title: "data that do not fit a training",
        explanation: "The data of a training are arrays with a leading axis of samples, several of them with the \
            same number of samples, or a function of a key that draws one sample. A batch is not larger than the \
            data.",
    },
    Row {
        code: Code("E0705"),
        title: "a checkpoint that cannot be used",
        explanation: "A checkpoint holds parameters, states of optimizers and the step of one training. It could not \
            be written or read, is damaged, or belongs to another version of the training, or to a run with other \
            arguments, another seed or another precision. Without `--resume` the training starts anew.",
    },
    Row {
        code: Code("E0801"),
        title: "an argument that is missing or unknown",
        explanation: "A script declares its arguments with `arg`; those without a default must be given: `dp run \
            FILE --name value`. `dp run FILE --help` lists them.",
    },
    Row {
        code: Code("E0802"),
        title: "an argument of the wrong kind",
        explanation: "The value of an argument is an int, a real, a bool (`true` or `false`) or a string, as the \
            script declares it.",
    },
    Row {
        code: Code("E0805"),
        title: "no folder to work in",
        explanation: "Files can be read and written by scripts in files only, below the folder of the script and the \
            folders given with `--allow-dir`. One of these folders cannot be used.",
    },
    Row {
        code: Code("E0806"),
        title: "a file that cannot be read or written",
        explanation: "Files are `.npy`, `.npz`, `.csv`, `.png`, `.safetensors` or IDX, also with `.gz`. A file that is damaged, cut off, longer \
            than it says or of another kind is refused; so is a path that leads out of the allowed folders. Files \
            that exist are replaced only with `--overwrite`.",
    },
    Row {
        code: Code("E0807"),
        title: "a picture that cannot be drawn",
        explanation: "A plot has at least one curve, and on a logarithmic axis at least one positive number. The \
            file name ends in `.svg`.",
    },
];

/// The row of a code such as `E0201`.
pub fn find(code: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.code.0 == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_ascending_and_explained() {
        assert!(ROWS.windows(2).all(|pair| pair[0].code < pair[1].code));
        for row in ROWS {
            assert!(row.explanation.len() > 80 && !row.title.is_empty(), "{}", row.code.0);
        }
        assert_eq!(find("E0201").map(|row| row.title), Some("unexpected text"));
        assert!(find("E9999").is_none());
    }
}
