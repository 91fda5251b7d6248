"""What may stand in a package: the audited list of types beyond those that skops trusts, and the kinds of node.

A name is on the list when constructing it, or restoring its state, copies attributes or arrays and runs nothing that
the file chooses; for a function, when calling it with arguments from the file has no effect beyond its result. The
sources of scikit-learn 1.9 and skops 0.16 were searched for `__setstate__`, `__reduce__` and `__new__` of each; of the
Cython types the code behind them was not read to the end. The trees (`Tree`, `KDTree`, `BallTree`) believe the indices
in their arrays: a forged one can crash the process that asks it for a prediction, which is why models run in child
processes.
"""

LOADERS = frozenset(
    {
        "BytearrayNode",
        "BytesNode",
        "ConstructorFromReduceNode",
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
and references to earlier nodes, which the canonical form has no need of."""

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
