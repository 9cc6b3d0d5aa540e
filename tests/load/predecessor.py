"""The predecessor's columns and the parameters of its XGBoost."""

# What its callers send.
REQUIRED = (
    "Total_Relationship_Count",
    "Credit_Limit",
    "Total_Revolving_Bal",
    "Total_Amt_Chng_Q4_Q1",
    "Total_Trans_Amt",
    "Total_Trans_Ct",
    "Total_Ct_Chng_Q4_Q1",
    "Avg_Utilization_Ratio",
)
DROPPED = ["Total_Amt_Chng_Q4_Q1", "Total_Revolving_Bal", "Credit_Limit"]

XGBOOST = {
    "n_estimators": 468,
    "max_depth": 6,
    "learning_rate": 0.025,
    "subsample": 0.77,
    "colsample_bytree": 0.62,
    "random_state": 42,
    "n_jobs": 1,
}


def features(table):
    """Seven columns of the eight: two engineered, three dropped."""
    amount = table["Total_Trans_Amt"]
    growth = (table["Total_Amt_Chng_Q4_Q1"] / amount).where(amount != 0, 0.0)
    value = table["Total_Revolving_Bal"] * table["Avg_Utilization_Ratio"]
    table = table.assign(
        Activity_Growth=growth, Customer_Value=value * table["Credit_Limit"]
    )
    return table.drop(columns=DROPPED)
