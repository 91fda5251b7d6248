"""What may stand in a package: the audited list of types beyond those that skops trusts, and the kinds of node.

A name is on the list when constructing it, or restoring its state, copies attributes or arrays and runs nothing that
the file chooses; for a function, when calling it with arguments from the file has no effect beyond its result. Of each,
`__new__`, `__cinit__`, `__reduce__` and `__setstate__` were read in the sources of scikit-learn 1.9 (the Cython ones, which
its wheels carry, too): the Cython types assign arrays and numbers, `Tree` copies its arrays into memory of its own after
checking their types and shapes, and none imports, opens a file or calls what its state holds. What they do not check are the
indices within those arrays and the number of outputs of a `Tree`: a forged one can make them read beyond their memory and
crash the process, when it loads or when it predicts, which is why models run in child processes.
"""

LOADERS = frozenset(
    {
        "BytearrayNode",
        "BytesNode",
        "DTypeNode",
        "DefaultDictNode",
        "DictNode",
        "FunctionNode",
        "JsonNode",
        "ListNode",
        "LossNode",
        "MaskedArrayNode",
        "NdArrayNode",
        "ObjectNode",
        "PartialNode",
        "RandomGeneratorNode",
        "RandomStateNode",
        "SetNode",
        "SliceNode",
        "SparseMatrixNode",
        "TreeNode",
        "TupleNode",
        "TypeNode",
    }
)
"""Kinds of node that may stand in a package. Not: methods and `operator` objects, which reach any attribute of an object,
constructors with arguments, which call any allowed name with what the file says, and references to earlier nodes, which the
canonical form has no need of."""

CALLED = {
    "DictNode": ("builtins.dict", "collections.OrderedDict", "sklearn.utils._bunch.Bunch"),
    "ListNode": ("builtins.list",),
    "LossNode": ("sklearn._loss._loss.", "sklearn.linear_model._sgd_fast."),
    "NdArrayNode": ("numpy.",),
    "PartialNode": ("functools.partial",),
    "RandomGeneratorNode": ("numpy.random._generator.Generator",),
    "RandomStateNode": ("numpy.random.mtrand.RandomState",),
    "SetNode": ("builtins.set",),
    "TreeNode": ("sklearn.tree._tree.Tree",),
}
"""Kinds of node that call the name they bear, and what that may be (all of a module where it ends in a dot): otherwise a file
could have any allowed function or class, those of the project too, called with arguments of its choice while it loads."""

KEY_TYPES = ("builtins.", "numpy.")
"""Where the types of a dictionary's keys may come from: each is called with a key."""

TYPES = frozenset(
    {
        "functools.partial",  # its target is a node of its own and must be on this list too
        "numpy.dtype",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.calibration._TemperatureScaling",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.feature_selection._univariate_selection.chi2",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._dist_metrics.ManhattanDistance64",
        "sklearn.metrics._dist_metrics.MinkowskiDistance64",
        "sklearn.metrics._scorer._PassthroughScorer",  # of a fitted search; calls `score` of an estimator that it is given
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils.validation.check_array",  # the target of a partial in histogram gradient boosting
    }
)
