"""Compares simulated customers with the real ones, and a shifted bank with the one an old model learned.

Usage: python compare.py likeness REAL.csv SIMULATED.csv
       python compare.py shock ORIGINAL.csv SHIFTED.csv     (same customers in the same order)

Models: XGBoost (400 trees, depth 6, eta 0.05, subsample and colsample 0.8), logistic regression on standardised and one-hot
columns, 80/20 split stratified by label, seed 42. Figures are printed as Markdown.
"""

import sys

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBClassifier

CATEGORICAL = [
    "Gender",
    "Education_Level",
    "Marital_Status",
    "Income_Category",
    "Card_Category",
]
REQUIRED = [
    "Total_Relationship_Count",
    "Credit_Limit",
    "Total_Revolving_Bal",
    "Total_Amt_Chng_Q4_Q1",
    "Total_Trans_Amt",
    "Total_Trans_Ct",
    "Total_Ct_Chng_Q4_Q1",
    "Avg_Utilization_Ratio",
]


def load(path):
    frame = pd.read_csv(path).iloc[:, :21]
    left = (frame.pop("Attrition_Flag") == "Attrited Customer").astype(int)
    return frame.drop(columns="CLIENTNUM"), left


def codes(frame, like):
    coded = frame.copy()
    for column in CATEGORICAL:
        coded[column] = pd.Categorical(
            frame[column], categories=sorted(like[column].unique())
        ).codes
    return coded


def trees():
    return XGBClassifier(
        n_estimators=400,
        max_depth=6,
        learning_rate=0.05,
        subsample=0.8,
        colsample_bytree=0.8,
        random_state=0,
    )


def linear(columns):
    numeric = [c for c in columns if c not in CATEGORICAL]
    prepare = make_column_transformer(
        (StandardScaler(), numeric),
        (
            OneHotEncoder(handle_unknown="ignore"),
            [c for c in columns if c in CATEGORICAL],
        ),
    )
    return make_pipeline(prepare, LogisticRegression(max_iter=2000))


def auc(model, frame, left):
    return roc_auc_score(left, model.predict_proba(frame)[:, 1])


def split(left):
    return train_test_split(
        np.arange(len(left)), test_size=0.2, stratify=left, random_state=42
    )


def quality(frame, left):
    """AUC of trees on full rows, trees on the required eight, and logistic regression on full rows."""
    learn, test = split(left)
    coded = codes(frame, frame)
    full = auc(
        trees().fit(coded.iloc[learn], left[learn]), coded.iloc[test], left[test]
    )
    eight = coded[REQUIRED]
    required = auc(
        trees().fit(eight.iloc[learn], left[learn]), eight.iloc[test], left[test]
    )
    plain = linear(list(frame.columns)).fit(frame.iloc[learn], left[learn])
    return full, required, auc(plain, frame.iloc[test], left[test])


def ks(a, b):
    values = np.sort(np.concatenate([a, b]))
    return np.abs(
        np.searchsorted(np.sort(a), values, "right") / len(a)
        - np.searchsorted(np.sort(b), values, "right") / len(b)
    ).max()


def likeness(real_path, simulated_path):
    (real, real_left), (simulated, simulated_left) = (
        load(real_path),
        load(simulated_path),
    )
    numeric = [c for c in real.columns if c not in CATEGORICAL]
    print(
        "| numeric feature | real 5 / 25 / 50 / 75 / 95 % | simulated | KS distance |\n|---|---|---|---|"
    )
    points = [0.05, 0.25, 0.5, 0.75, 0.95]
    for column in numeric:

        def show(frame, column=column):
            return " / ".join(f"{q:g}" for q in frame[column].quantile(points).round(3))

        print(
            f"| {column} | {show(real)} | {show(simulated)} | {ks(real[column].values, simulated[column].values):.3f} |"
        )
    print("\n| categorical feature | largest difference of a share |\n|---|---|")
    for column in CATEGORICAL:
        difference = (
            real[column]
            .value_counts(normalize=True)
            .sub(simulated[column].value_counts(normalize=True), fill_value=0)
        )
        print(f"| {column} | {difference.abs().max():.3f} |")
    print("\n| dependence | mean | largest | between |\n|---|---|---|---|")
    groups = {
        "all customers": (slice(None), slice(None)),
        "staying": (real_left == 0, simulated_left == 0),
        "leaving": (real_left == 1, simulated_left == 1),
    }
    for name, (a, b) in groups.items():
        difference = (
            real[a][numeric].corr("spearman") - simulated[b][numeric].corr("spearman")
        ).abs()
        values = difference.values[np.triu_indices(len(numeric), 1)]
        row, column = np.unravel_index(difference.values.argmax(), difference.shape)
        print(
            f"| Spearman difference, {name} | {values.mean():.3f} | {values.max():.3f} | {numeric[row]}, {numeric[column]} |"
        )
    print("\n| quality | real | simulated |\n|---|---|---|")
    print(f"| share that left | {real_left.mean():.4f} | {simulated_left.mean():.4f} |")
    names = [
        "XGBoost, full rows",
        "XGBoost, the required eight",
        "logistic regression, full rows",
    ]
    for name, a, b in zip(
        names, quality(real, real_left), quality(simulated, simulated_left)
    ):
        print(f"| test ROC-AUC, {name} | {a:.4f} | {b:.4f} |")
    learned = trees().fit(codes(simulated, real), simulated_left)
    reverse = trees().fit(codes(real, real), real_left)
    print(
        f"| ROC-AUC, XGBoost trained on the other's rows | {auc(learned, codes(real, real), real_left):.4f} "
        f"| {auc(reverse, codes(simulated, real), simulated_left):.4f} |"
    )
    both = pd.concat([codes(real, real), codes(simulated, real)], ignore_index=True)
    origin = pd.Series(np.r_[np.ones(len(real)), np.zeros(len(simulated))].astype(int))
    learn, test = split(origin)
    told = auc(
        trees().fit(both.iloc[learn], origin[learn]), both.iloc[test], origin[test]
    )
    print(
        f"| ROC-AUC of telling real from simulated rows (0.5: cannot) | {told:.3f} | |"
    )


def shock(original_path, shifted_path):
    (original, left), (shifted, same) = load(original_path), load(shifted_path)
    assert (left == same).all(), "not the same customers"
    before, after = codes(original, original), codes(shifted, original)
    learn, test = split(left)
    window, held_out = test[: len(test) // 2], test[len(test) // 2 :]
    rows = []
    for name, columns in (
        ("full rows", list(before.columns)),
        ("the required eight", REQUIRED),
    ):
        a, b = before[columns], after[columns]
        old = trees().fit(a.iloc[learn], left[learn])
        half = np.random.default_rng(0).permutation(len(left))
        first, second = half[: len(half) // 2], half[len(half) // 2 :]
        new = trees().fit(b.iloc[first], left[first])
        mixed = trees().fit(
            pd.concat([a.iloc[learn], b.iloc[window]]),
            pd.concat([left[learn], left[window]]),
        )
        rows.append(
            (
                name,
                auc(old, a.iloc[test], left[test]),
                auc(old, b.iloc[test], left[test]),
                auc(new, b.iloc[second], left[second]),
                auc(mixed, b.iloc[held_out], left[held_out]),
                auc(old, b.iloc[held_out], left[held_out]),
            )
        )
    print(
        "| XGBoost, test ROC-AUC | before | old model after | trained on half of the shifted rows "
        f"| old training rows + {len(window)} shifted | old model on the same rows |\n|---|---|---|---|---|---|"
    )
    for name, *figures in rows:
        print(f"| {name} | " + " | ".join(f"{figure:.4f}" for figure in figures) + " |")


if __name__ == "__main__":
    actions = {"likeness": likeness, "shock": shock}
    if len(sys.argv) != 4 or sys.argv[1] not in actions:
        sys.exit(__doc__)
    actions[sys.argv[1]](*sys.argv[2:])
