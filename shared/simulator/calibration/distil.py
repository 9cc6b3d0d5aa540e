"""Distils the statistics that the simulator draws from out of the real BankChurners file.

Usage: python distil.py BankChurners.csv bank > ../src/bank.rs
       python distil.py BankChurners.csv segments > ../src/segments.rs
       cargo fmt -p holdfast-simulator

What is kept of 10,127 customers: for each of nine segments (attrited or not, cut by the yearly amount spent, which is where the
real file falls into separate clouds) its share, quantiles, category shares and the Cholesky factor of a Gaussian copula; and a
few tables that hold for the whole bank (income by gender, limit by income, and so on). No row can be told from them.
The output is a function of the file alone.
"""

import sys
from statistics import NormalDist

import numpy as np
import pandas as pd

AMOUNT_CUTS = [1750, 3000, 6200, 11000]
# These two lists stand in src/segment.rs as well.
POINTS = [
    0,
    0.005,
    0.02,
    0.05,
    0.1,
    0.2,
    0.3,
    0.4,
    0.5,
    0.6,
    0.7,
    0.8,
    0.9,
    0.95,
    0.98,
    0.995,
    1,
]
SHORT_POINTS = [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1]
AGE_BANDS = [30, 35, 40, 45, 50, 55, 60]  # upper ends; the last band is open
COPULA = [
    "Customer_Age",
    "Total_Relationship_Count",
    "Months_Inactive_12_mon",
    "Contacts_Count_12_mon",
    "limit_rank",
    "Total_Revolving_Bal",
    "Total_Trans_Amt",
    "Total_Trans_Ct",
    "Total_Amt_Chng_Q4_Q1",
    "Total_Ct_Chng_Q4_Q1",
]
INCOMES = [
    "Less than $40K",
    "$40K - $60K",
    "$60K - $80K",
    "$80K - $120K",
    "$120K +",
    "Unknown",
]
EDUCATIONS = [
    "Uneducated",
    "High School",
    "College",
    "Graduate",
    "Post-Graduate",
    "Doctorate",
    "Unknown",
]
MARITAL = ["Single", "Married", "Divorced", "Unknown"]
TIERS = ["Silver", "Gold", "Platinum"]
REVOLVING_CAP = 2517
LIMIT_FLOOR, LIMIT_CAP = 1438.3, 34516
# The simulator raises some low limits to hold a balance; by hand: so many more start at the floor that the right share stays.
FLOOR_START = 1.3
JOIN_SPIKE = 36
NAMES = {
    (0, 0): "staying, spends least",
    (0, 1): "staying, spends little",
    (0, 2): "staying, spends as most do",
    (0, 3): "staying, spends much",
    (0, 4): "staying, spends most",
    (1, 0): "leaving, spends least",
    (1, 1): "leaving, spends little",
    (1, 2): "leaving, spends as most do",
    (1, 3): "leaving, spends much",
}

NOTE = """Written by `calibration/distil.py`; do not edit by hand.
//!
//! Quantiles, shares and rank correlations of the public BankChurners file (CC0), not rows of it."""

normal = NormalDist()
rng = np.random.default_rng(0)  # breaks ties in ranks


def normal_scores(values):
    """Ranks mapped to a standard normal; ties in random order, so that a discrete column keeps its correlation unbiased upwards."""
    values = np.asarray(values, dtype=float)
    order = np.lexsort((rng.random(len(values)), values))
    ranks = np.empty(len(values))
    ranks[order] = np.arange(len(values)) + 0.5
    return np.array([normal.inv_cdf(r / len(values)) for r in ranks])


def cholesky(rows):
    scores = np.column_stack([normal_scores(rows[c]) for c in COPULA])
    corr = np.corrcoef(scores.T)
    # What cannot be told from noise is nothing: fewer numbers, and a small segment keeps no accidents.
    corr[np.abs(corr) < max(2 / np.sqrt(len(rows)), 0.04)] = 0
    w, v = np.linalg.eigh(corr)
    corr = (v * np.clip(w, 0.02, None)) @ v.T
    scale = np.sqrt(np.diag(corr))
    return np.linalg.cholesky(corr / np.outer(scale, scale))


def shares(column, levels, digits=4):
    counts = column.value_counts()
    return [round(counts.get(level, 0) / len(column), digits) for level in levels]


def quantiles(column, points=POINTS):
    return [float(x) for x in np.quantile(column, points)]


def number(x, digits):
    text = f"{x:.{digits}f}"
    text = text.rstrip("0") if "." in text else text
    return text + "0" if text.endswith(".") else (text if "." in text else text + ".0")


def array(values, digits=4):
    return "[" + ", ".join(number(v, digits) for v in values) + "]"


def load(path):
    frame = pd.read_csv(path).iloc[:, :21]
    frame["left"] = (frame.Attrition_Flag == "Attrited Customer").astype(int)
    frame["band"] = np.minimum(
        np.digitize(frame.Total_Trans_Amt, AMOUNT_CUTS), np.where(frame.left == 1, 3, 4)
    )
    frame["plain"] = frame.Card_Category == "Blue"
    frame["limit_rank"] = 0.0
    for _, group in frame.groupby(["Income_Category", "plain"]):
        frame.loc[group.index, "limit_rank"] = normal_scores(group.Credit_Limit)
    return frame


def segment(name, label, rows, total):
    # Low limits and balances shape each other (the limit caps the balance), so balances are read off the higher limits.
    free = rows[rows.Credit_Limit > 3500].Total_Revolving_Bal
    middle = free[(free > 0) & (free < REVOLVING_CAP)]
    factor = cholesky(rows)
    fields = {
        "label": "true" if label else "false",
        "share": number(len(rows) / total, 5),
        "female": number((rows.Gender == "F").mean(), 4),
        "plain_card": number(rows.plain.mean(), 4),
        "marital": array(shares(rows.Marital_Status, MARITAL)),
        "relationships": array(shares(rows.Total_Relationship_Count, range(1, 7))),
        "inactive": array(shares(rows.Months_Inactive_12_mon, range(7))),
        "contacts": array(shares(rows.Contacts_Count_12_mon, range(7))),
        "limit_mean": number(rows.limit_rank.mean(), 3),
        "limit_deviation": number(rows.limit_rank.std(), 3),
        "balance_zero": number((free == 0).mean(), 4),
        "balance_cap": number((free == REVOLVING_CAP).mean(), 4),
        "balance": array(quantiles(middle, SHORT_POINTS), 0),
        "age": array(quantiles(rows.Customer_Age), 0),
        "amount": array(quantiles(rows.Total_Trans_Amt), 0),
        "count": array(quantiles(rows.Total_Trans_Ct), 0),
        "amount_change": array(quantiles(rows.Total_Amt_Chng_Q4_Q1), 3),
        "count_change": array(quantiles(rows.Total_Ct_Chng_Q4_Q1), 3),
        "copula": "[" + ", ".join(array(row, 3) for row in factor) + "]",
    }
    body = "\n".join(f"        {key}: {value}," for key, value in fields.items())
    return f"    // {name}: {len(rows)} customers of the real file\n    Segment {{\n{body}\n    }},"


def bank(frame, put):
    put("//! Statistics that hold for the whole bank. " + NOTE)
    put("\nuse crate::segment::{Quantiles, ShortQuantiles};")
    put("\n/// Income bands by gender: F, M; columns as in [`INCOMES`].")
    rows = [
        array(shares(frame[frame.Gender == g].Income_Category, INCOMES)) for g in "FM"
    ]
    put(f"pub(crate) const INCOME: [[f64; 6]; 2] = [{', '.join(rows)}];")
    for name, levels in (
        ("INCOMES", INCOMES),
        ("EDUCATIONS", EDUCATIONS),
        ("MARITAL_STATES", MARITAL),
        ("TIERS", TIERS),
    ):
        texts = ", ".join(f'"{level}"' for level in levels)
        put("\n/// Category names, in the order of the tables here.")
        put(f"pub(crate) const {name}: [&str; {len(levels)}] = [{texts}];")
    put("\n/// Education of those who stay and those who leave.")
    rows = [
        array(shares(frame[frame.left == k].Education_Level, EDUCATIONS))
        for k in (0, 1)
    ]
    put(f"pub(crate) const EDUCATION: [[f64; 7]; 2] = [{', '.join(rows)}];")
    put("\n/// Shares of silver, gold and platinum among the cards that are not blue.")
    put(
        f"pub(crate) const TIER: [f64; 3] = {array(shares(frame[~frame.plain].Card_Category, TIERS))};"
    )
    plain = [
        frame[frame.plain & (frame.Income_Category == income)].Credit_Limit
        for income in INCOMES
    ]
    put(
        "\n/// Shares of blue cards with the lowest limit and with the highest, by income band."
    )
    put(
        f"pub(crate) const LIMIT_FLOOR: [f64; 6] = {array([(limits == LIMIT_FLOOR).mean() * FLOOR_START for limits in plain])};"
    )
    put("\n/// See [`LIMIT_FLOOR`].")
    put(
        f"pub(crate) const LIMIT_CAP: [f64; 6] = {array([(limits == LIMIT_CAP).mean() for limits in plain])};"
    )
    put(
        "\n/// Credit limits of blue cards between the two by income band, at the points of [`Quantiles`]."
    )
    rows = [
        array(quantiles(limits[(limits > LIMIT_FLOOR) & (limits < LIMIT_CAP)]), 0)
        for limits in plain
    ]
    put(f"pub(crate) const PLAIN_LIMIT: [Quantiles; 6] = [{', '.join(rows)}];")
    put(
        "\n/// Credit limits of silver, gold and platinum cards by income band, at the points of [`ShortQuantiles`]."
    )
    rows = [
        array(
            quantiles(
                frame[~frame.plain & (frame.Income_Category == i)].Credit_Limit,
                SHORT_POINTS,
            ),
            0,
        )
        for i in INCOMES
    ]
    put(f"pub(crate) const TIER_LIMIT: [ShortQuantiles; 6] = [{', '.join(rows)}];")
    put("\n/// Upper ends of the age bands of [`DEPENDENTS`]; the last band is open.")
    put(f"pub(crate) const AGE_BANDS: [f64; {len(AGE_BANDS)}] = {array(AGE_BANDS, 0)};")
    put("\n/// Shares of 0 to 5 dependants by age band.")
    band = np.digitize(frame.Customer_Age, AGE_BANDS, right=True)
    rows = [
        array(shares(frame[band == k].Dependent_count, range(6)))
        for k in range(len(AGE_BANDS) + 1)
    ]
    put(
        f"pub(crate) const DEPENDENTS: [[f64; 6]; {len(AGE_BANDS) + 1}] = [{', '.join(rows)}];"
    )
    spike = frame.Months_on_book == JOIN_SPIKE
    put(
        f"\n/// Share of customers whose months on book are {JOIN_SPIKE} whatever their age: the real file has that spike."
    )
    put(f"pub(crate) const JOIN_SPIKE_SHARE: f64 = {number(spike.mean() - 0.02, 4)};")
    put(
        "\n/// Age in years less months on book, of the others, at the points of [`Quantiles`]."
    )
    put(
        f"pub(crate) const AGE_LESS_MONTHS: Quantiles = "
        f"{array(quantiles((frame.Customer_Age - frame.Months_on_book)[~spike]), 0)};"
    )


def segments(frame, put):
    groups = list(frame.groupby(["left", "band"]))
    put("//! The groups of customers the bank falls into. " + NOTE)
    put("\nuse crate::segment::Segment;")
    put("\n/// Every group; their shares sum to 1.")
    put(
        '#[expect(clippy::approx_constant, reason = "a number that looks like 1/pi is a measured one")]'
    )
    put(f"pub(crate) const SEGMENTS: [Segment; {len(groups)}] = [")
    for key, rows in groups:
        put(segment(NAMES[tuple(int(k) for k in key)], key[0], rows, len(frame)))
    put("];")


PARTS = {"bank": bank, "segments": segments}
if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[2] not in PARTS:
        sys.exit(__doc__)
    PARTS[sys.argv[2]](load(sys.argv[1]), print)
