//! Statistics that hold for the whole bank. Written by `calibration/distil.py`; do not edit by hand.
//!
//! Quantiles, shares and rank correlations of the public BankChurners file (CC0), not rows of it.

use crate::segment::{Quantiles, ShortQuantiles};

/// Income bands by gender: F, M; columns as in [`INCOMES`].
pub(crate) const INCOME: [[f64; 6]; 2] = [
    [0.6129, 0.1892, 0.0, 0.0, 0.0, 0.1978],
    [0.0581, 0.1627, 0.294, 0.3219, 0.1524, 0.0109],
];

/// Category names, in the order of the tables here.
pub(crate) const INCOMES: [&str; 6] = [
    "Less than $40K",
    "$40K - $60K",
    "$60K - $80K",
    "$80K - $120K",
    "$120K +",
    "Unknown",
];

/// Category names, in the order of the tables here.
pub(crate) const EDUCATIONS: [&str; 7] = [
    "Uneducated",
    "High School",
    "College",
    "Graduate",
    "Post-Graduate",
    "Doctorate",
    "Unknown",
];

/// Category names, in the order of the tables here.
pub(crate) const MARITAL_STATES: [&str; 4] = ["Single", "Married", "Divorced", "Unknown"];

/// Category names, in the order of the tables here.
pub(crate) const TIERS: [&str; 3] = ["Silver", "Gold", "Platinum"];

/// Education of those who stay and those who leave.
pub(crate) const EDUCATION: [[f64; 7]; 2] = [
    [0.1471, 0.2008, 0.1011, 0.3107, 0.0499, 0.0419, 0.1486],
    [0.1457, 0.1881, 0.0947, 0.2993, 0.0565, 0.0584, 0.1573],
];

/// Shares of silver, gold and platinum among the cards that are not blue.
pub(crate) const TIER: [f64; 3] = [0.8032, 0.1679, 0.0289];

/// Shares of blue cards with the lowest limit and with the highest, by income band.
pub(crate) const LIMIT_FLOOR: [f64; 6] = [0.1203, 0.0753, 0.0296, 0.0205, 0.0101, 0.0485];

/// See [`LIMIT_FLOOR`].
pub(crate) const LIMIT_CAP: [f64; 6] = [0.0, 0.0, 0.0, 0.0538, 0.1907, 0.0];

/// Credit limits of blue cards between the two by income band, at the points of [`Quantiles`].
pub(crate) const PLAIN_LIMIT: [Quantiles; 6] = [
    [
        1440.0, 1464.0, 1513.0, 1613.0, 1759.0, 2058.0, 2317.0, 2585.0, 2838.0, 3181.0, 3734.0, 4787.0, 6666.0, 8064.0,
        8967.0, 9771.0, 9977.0,
    ],
    [
        1439.0, 1457.0, 1540.0, 1647.0, 1924.0, 2341.0, 2676.0, 3103.0, 3658.0, 4452.0, 5495.0, 6991.0, 9604.0,
        11480.0, 13359.0, 14786.0, 14987.0,
    ],
    [
        1460.0, 1580.0, 1687.0, 2001.0, 2345.0, 3098.0, 4244.0, 5501.0, 7050.0, 8919.0, 11536.0, 14600.0, 19107.0,
        21721.0, 23392.0, 24378.0, 24657.0,
    ],
    [
        1439.0, 1535.0, 1817.0, 2263.0, 2845.0, 4151.0, 5967.0, 8617.0, 11110.0, 13457.0, 17521.0, 21561.0, 26814.0,
        30275.0, 32437.0, 33981.0, 34496.0,
    ],
    [
        1548.0, 1654.0, 2170.0, 2932.0, 3298.0, 5135.0, 7443.0, 9302.0, 12101.0, 14985.0, 19048.0, 23958.0, 27743.0,
        31637.0, 32758.0, 33885.0, 34162.0,
    ],
    [
        1461.0, 1491.0, 1706.0, 1949.0, 2314.0, 2884.0, 3606.0, 4693.0, 6034.0, 7951.0, 9917.0, 12778.0, 18047.0,
        22570.0, 25562.0, 28407.0, 29939.0,
    ],
];

/// Credit limits of silver, gold and platinum cards by income band, at the points of [`ShortQuantiles`].
pub(crate) const TIER_LIMIT: [ShortQuantiles; 6] = [
    [10017.0, 10194.0, 11140.0, 12853.0, 14141.0, 15987.0, 15987.0],
    [3735.0, 15139.0, 15990.0, 17835.0, 19708.0, 23981.0, 23981.0],
    [6224.0, 25272.0, 28174.0, 32182.0, 34516.0, 34516.0, 34516.0],
    [34516.0, 34516.0, 34516.0, 34516.0, 34516.0, 34516.0, 34516.0],
    [14938.0, 34516.0, 34516.0, 34516.0, 34516.0, 34516.0, 34516.0],
    [7469.0, 30989.0, 32627.0, 34516.0, 34516.0, 34516.0, 34516.0],
];

/// Upper ends of the age bands of [`DEPENDENTS`]; the last band is open.
pub(crate) const AGE_BANDS: [f64; 7] = [30.0, 35.0, 40.0, 45.0, 50.0, 55.0, 60.0];

/// Shares of 0 to 5 dependants by age band.
pub(crate) const DEPENDENTS: [[f64; 6]; 8] = [
    [0.5811, 0.3434, 0.0755, 0.0, 0.0, 0.0],
    [0.1789, 0.2615, 0.2783, 0.2034, 0.0719, 0.0061],
    [0.0298, 0.1773, 0.3221, 0.2977, 0.1428, 0.0304],
    [0.0146, 0.0733, 0.2222, 0.3591, 0.2504, 0.0804],
    [0.0222, 0.1269, 0.2542, 0.3149, 0.2182, 0.0637],
    [0.0578, 0.2341, 0.3383, 0.2547, 0.0967, 0.0183],
    [0.1793, 0.3143, 0.2721, 0.1609, 0.0637, 0.0097],
    [0.5827, 0.358, 0.0593, 0.0, 0.0, 0.0],
];

/// Share of customers whose months on book are 36 whatever their age: the real file has that spike.
pub(crate) const JOIN_SPIKE_SHARE: f64 = 0.2232;

/// Age in years less months on book, of the others, at the points of [`Quantiles`].
pub(crate) const AGE_LESS_MONTHS: Quantiles = [
    4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 17.0, 19.0, 20.0, 21.0, 31.0,
];
