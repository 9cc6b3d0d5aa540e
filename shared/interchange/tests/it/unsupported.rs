//! Good models of other kinds, and broken ones, refused with the field that says so.

use holdfast_interchange::{ImportError, Rounds, import};

use crate::support::bytes;

/// A file with one text in it changed, which must be there.
fn changed(name: &str, from: &str, to: &str) -> String {
    let text = String::from_utf8(bytes(&format!("models/{name}"))).unwrap();
    assert!(text.contains(from), "{name} has no {from}");
    match import(text.replacen(from, to, 1).as_bytes(), Rounds::Best) {
        Ok(_) => panic!("{name} is imported with {to} for {from}"),
        Err(error) => error.to_string(),
    }
}

/// Each change, from one text to another, is refused with a message that begins as expected.
fn assert_refused(file: &str, cases: &[(&str, &str, &str)]) {
    for (from, to, expected) in cases {
        let found = changed(file, from, to);
        assert!(
            found.starts_with(expected),
            "{found:?} does not start with {expected:?}"
        );
    }
}

#[test]
fn xgboost_models_of_another_kind_name_the_field() {
    let file = "xgboost-partition.json";
    let cases = [
        (
            "\"binary:logistic\"",
            "\"multi:softprob\"",
            "not supported: learner.objective.name: \"multi:softprob\", supported are binary:logistic, binary:logitraw and reg:logistic",
        ),
        (
            "\"num_class\":\"0\"",
            "\"num_class\":\"3\"",
            "not supported: learner.learner_model_param.num_class: 3, supported are models with one output",
        ),
        (
            "\"num_target\":\"1\"",
            "\"num_target\":\"2\"",
            "not supported: learner.learner_model_param.num_target: 2, supported are models with one output",
        ),
        (
            "\"name\":\"gbtree\"",
            "\"name\":\"gblinear\"",
            "not supported: learner.gradient_booster.name: \"gblinear\", supported are gbtree and dart",
        ),
        (
            "\"size_leaf_vector\":\"1\"",
            "\"size_leaf_vector\":\"2\"",
            "not supported: trees[0].tree_param.size_leaf_vector: leaves with 2 outputs, supported is one",
        ),
        (
            "\"version\":[3,",
            "\"version\":[4,",
            "not supported: version: 4.2, supported are 1.7 to 3.x: load the model with one of these and save it again",
        ),
        (
            "\"version\":[3,2,",
            "\"version\":[1,6,",
            "not supported: version: 1.6, supported are 1.7 to 3.x: load the model with one of these and save it again",
        ),
        (
            "\"num_feature\":\"6\",\"num_target\"",
            "\"num_feature\":\"65\",\"num_target\"",
            "not supported: learner.learner_model_param.num_feature: 65 columns",
        ),
        (
            "\"tree_info\":[0",
            "\"tree_info\":[1",
            "not supported: tree_info: a tree of output 1",
        ),
    ];
    assert_refused(file, &cases);
}

#[test]
fn broken_xgboost_models_name_the_field() {
    let file = "xgboost-partition.json";
    let cases = [
        (
            "\"base_score\":\"[",
            "\"base_score\":\"[x",
            "invalid model: learner.learner_model_param.base_score: ",
        ),
        (
            "\"base_score\":\"[",
            "\"base_score\":\"[0.5,",
            "invalid model: learner.learner_model_param.base_score: ",
        ),
        (
            "\"left_children\":[1",
            "\"left_children\":[0",
            "invalid model: trees[0].nodes[0].left_children: node 0 has two parents",
        ),
        (
            "\"left_children\":[1",
            "\"left_children\":[99",
            "invalid model: trees[0].nodes[0].left_children: there is no node 99",
        ),
        (
            "\"left_children\":[1,",
            "\"left_children\":[",
            "invalid model: trees[0].left_children: ",
        ),
        (
            "\"categories_nodes\":[",
            "\"categories_nodes\":[77,",
            "invalid model: trees[0].categories_nodes: ",
        ),
        (
            "\"split_indices\":[",
            "\"split_indices\":[9",
            "invalid model: trees[0].nodes[0].split_indices: there is no column",
        ),
        (
            "\"iteration_indptr\":[0,1",
            "\"iteration_indptr\":[0,9",
            "invalid model: iteration_indptr: ",
        ),
        (
            "\"feature_names\":[\"Total_Trans_Ct\",",
            "\"feature_names\":[",
            "invalid model: learner.feature_names: 5 entries, and 6 columns",
        ),
        (
            "\"categories\":[",
            "\"categories\":[64,",
            "not supported: trees[0].categories: a split on the category of code 64",
        ),
        (
            "\"default_left\":[",
            "\"default_left\":[7,",
            "not an XGBoost JSON model: learner.gradient_booster.model.trees[0].default_left[0]: ",
        ),
        (
            "\"sum_hessian\":[",
            "\"sum_hessian\":[\"x\",",
            "not an XGBoost JSON model: learner.gradient_booster.model.trees[0].sum_hessian[0]: ",
        ),
        (
            "\"learner\":",
            "\"lerner\":",
            "not an XGBoost JSON model: missing field `learner`",
        ),
    ];
    assert_refused(file, &cases);
}

#[test]
fn lightgbm_models_of_another_kind_name_the_field() {
    let file = "lightgbm-categories.txt";
    let cases = [
        (
            "objective=binary",
            "objective=regression",
            "not supported: objective: \"regression sigmoid:1\", supported is binary",
        ),
        (
            "objective=binary sigmoid:1\n",
            "",
            "not supported: objective: there is none",
        ),
        (
            "num_class=1",
            "num_class=3",
            "not supported: num_class: 3, supported are models with one output",
        ),
        (
            "is_linear=0",
            "is_linear=1",
            "not supported: Tree=0.is_linear: the leaves are linear functions",
        ),
        (
            "version=v4",
            "version=v2",
            "not supported: version: \"v2\", supported are v3 and v4",
        ),
        (
            "max_feature_idx=5",
            "max_feature_idx=64",
            "not supported: max_feature_idx: 64",
        ),
    ];
    assert_refused(file, &cases);
}

#[test]
fn broken_lightgbm_models_name_the_field() {
    let file = "lightgbm-categories.txt";
    let cases = [
        (
            "end of trees",
            "end of",
            "not a LightGBM text model: the text ends before its trees do",
        ),
        (
            "end of parameters",
            "end",
            "not a LightGBM text model: the text ends before its parameters do",
        ),
        ("Tree=1", "Tree=2", "not a LightGBM text model: line "),
        (
            "tree_sizes=",
            "tree_sizes=1 ",
            "not a LightGBM text model: 9 trees are announced, and 8 there",
        ),
        (
            "sigmoid:1",
            "sigmoid:-1",
            "invalid model: objective: sigmoid:-1 is not above zero",
        ),
        ("num_leaves=", "num_leaves=9", "invalid model: Tree=0.leaf_value: "),
        (
            "split_feature=",
            "split_feature=9",
            "invalid model: Tree=0.nodes[0].split_feature: there is no column",
        ),
        (
            "left_child=",
            "left_child=9",
            "invalid model: Tree=0.nodes[0].left_child: there is no node",
        ),
        (
            "decision_type=",
            "decision_type=x",
            "invalid model: Tree=0.decision_type: ",
        ),
        ("leaf_value=", "leaf_value=- ", "invalid model: Tree=0.leaf_value: "),
        (
            "leaf_count=",
            "leaf_cnt=",
            "invalid model: Tree=0.leaf_count: it is missing",
        ),
        (
            "feature_names=Total_Trans_Ct ",
            "feature_names=",
            "invalid model: feature_names: 5 entries, and 6 columns",
        ),
        (
            "pandas_categorical:[[",
            "pandas_categorical:[",
            "invalid model: pandas_categorical: ",
        ),
        (
            "num_leaves=12",
            "num_leaves=99999999999",
            "invalid model: Tree=0.leaf_value: ",
        ),
    ];
    assert_refused(file, &cases);
}

#[test]
fn a_file_that_is_too_large_is_not_looked_at() {
    let bytes = vec![b'{'; holdfast_interchange::MAX_FILE_BYTES + 1];
    assert!(matches!(
        import(&bytes, Rounds::Best),
        Err(ImportError::TooLarge { .. })
    ));
}

#[test]
fn lightgbms_own_json_is_no_xgboost_model() {
    let error = import(b"{\"name\":\"tree\",\"version\":\"v4\",\"num_class\":1}", Rounds::Best).unwrap_err();
    assert!(error.to_string().starts_with("not an XGBoost JSON model: "), "{error}");
}
