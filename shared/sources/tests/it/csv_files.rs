//! CSV: what is read, and how what is wrong is named.

use holdfast_domain::{Feature, Schema};
use holdfast_sources::{LISTED_VIOLATIONS, SourceError, write};

use crate::support::{Files, customers, problems, serve, train};

const REQUIRED: &str = "Total_Relationship_Count,Credit_Limit,Total_Revolving_Bal,Total_Amt_Chng_Q4_Q1,Total_Trans_Amt,Total_Trans_Ct,Total_Ct_Chng_Q4_Q1,Avg_Utilization_Ratio";
const VALUES: &str = "5,12691,777,1.335,1144,42,1.625,0.061";

#[tokio::test]
async fn what_is_written_reads_back_the_same() {
    let files = Files::new();
    let customers = customers(500);
    let spec = files.spec("out.csv");
    write(&spec, &customers, Schema::embedded()).await.unwrap();
    assert_eq!(train(&spec).await.unwrap(), customers);
    write(&spec, &customers[..3], Schema::embedded()).await.unwrap();
    assert_eq!(train(&spec).await.unwrap(), customers[..3], "a file is replaced");
    assert!(!files.path("out.csv.partial").exists());
}

#[tokio::test]
async fn byte_order_mark_quotes_crlf_and_blank_lines_are_read() {
    let files = Files::new();
    let quoted: String = REQUIRED.split(',').map(|name| format!("\"{name}\",")).collect();
    let text = format!("\u{feff}{quoted}Card_Category\r\n{VALUES},\"Gold\"\r\n\r\n{VALUES},Blue");
    let read = serve(&files.with("a.csv", text)).await.unwrap();
    assert_eq!(read.len(), 2);
    assert_eq!(read[0].features.get(Feature::CardCategory), Some(2.0));
    assert_eq!(read[1].features.get(Feature::CreditLimit), Some(12_691.0));
}

#[tokio::test]
async fn empty_cells_are_missing_and_leaking_columns_are_dropped() {
    let files = Files::new();
    let text = format!(
        "{REQUIRED},Gender,Naive_Bayes_Classifier_1,CLIENTNUM,Attrition_Flag\n{VALUES},,not even a number,17,\n"
    );
    let read = serve(&files.with("a.csv", text)).await.unwrap();
    assert_eq!(read[0].features.missing().count(), 11);
    assert_eq!((read[0].key.unwrap().0, read[0].label), (17, None));
}

#[tokio::test]
async fn a_header_that_does_not_fit_is_reported_once_and_completely() {
    let files = Files::new();
    let text = format!(
        "{},Gender,Gender,Shoe_Size\n{VALUES},F,F,44\n",
        REQUIRED.replace("Credit_Limit", "Credit_Limt")
    );
    let error = serve(&files.with("a.csv", text)).await.unwrap_err();
    let expected = [
        (None, "Credit_Limt", "unknown_column"),
        (None, "Gender", "duplicate_column"),
        (None, "Shoe_Size", "unknown_column"),
        (None, "Credit_Limit", "required"),
    ];
    assert_eq!(problems(&error), expected);
    let text = error.to_string();
    assert!(
        text.contains("a.csv: 4 problems: Credit_Limt is not a known column; did you mean Credit_Limit?"),
        "{text}"
    );
    assert!(
        text.contains("there is no column Credit_Limit; every prediction needs it"),
        "{text}"
    );
}

#[tokio::test]
async fn training_needs_key_and_target_too() {
    let files = Files::new();
    let error = train(&files.with("a.csv", format!("{REQUIRED}\n{VALUES}\n")))
        .await
        .unwrap_err();
    assert_eq!(
        problems(&error),
        [(None, "CLIENTNUM", "required"), (None, "Attrition_Flag", "required")]
    );
}

#[tokio::test]
async fn bad_values_are_named_by_row_column_and_rule() {
    let files = Files::new();
    let text = format!("{REQUIRED}\n{VALUES}\n5,-1,777,1.335,1144,42,1.625,\n5,12691,777\n{VALUES}\n{VALUES},7\n");
    let error = serve(&files.with("a.csv", text)).await.unwrap_err();
    let expected = [
        (Some(2), "Credit_Limit", "below_minimum"),
        (Some(2), "Avg_Utilization_Ratio", "required"),
        (Some(3), "", "ragged_row"),
        (Some(5), "", "ragged_row"),
    ];
    assert_eq!(problems(&error), expected);
    assert!(
        error
            .to_string()
            .contains("row 3: line 4 has 3 cells and the header has 8"),
        "{error}"
    );
}

#[tokio::test]
async fn a_hundred_violations_are_listed_and_the_rest_counted() {
    let files = Files::new();
    let rows = format!("{}\n", VALUES.replace("12691", "x")).repeat(1_234);
    let error = serve(&files.with("a.csv", format!("{REQUIRED}\n{rows}")))
        .await
        .unwrap_err();
    assert_eq!(error.violations().len(), LISTED_VIOLATIONS);
    assert_eq!(error.violations()[99].row, Some(100));
    let SourceError::Invalid { more, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(*more, 1_134);
    assert!(
        error
            .to_string()
            .contains("1234 problems: row 1: Credit_Limit is \"x\""),
        "{error}"
    );
    assert!(error.to_string().ends_with("; and 1229 more"), "{error}");
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_refused_where_it_stands() {
    let files = Files::new();
    let mut bytes = format!("{REQUIRED},Gender\n{VALUES},").into_bytes();
    bytes.extend([0xe9, b'\n']);
    let error = serve(&files.with("a.csv", bytes)).await.unwrap_err();
    assert_eq!(problems(&error), [(Some(1), "Gender", "encoding")]);
    let error = serve(&files.with("b.csv", [0xff, 0xfe, b'C', 0, b'\n', 0]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("not UTF-8"), "{error}");
}

#[tokio::test]
async fn files_that_hold_no_table_say_so() {
    let files = Files::new();
    let error = serve(&files.with("empty.csv", "")).await.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("the file is empty; its first line must name the columns"),
        "{error}"
    );
    let error = serve(&files.with("semicolons.csv", REQUIRED.replace(',', ";")))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("separated by commas, not by semicolons"),
        "{error}"
    );
    let error = serve(&files.spec("absent.csv")).await.unwrap_err();
    assert!(
        error.to_string().ends_with("absent.csv: there is no such file"),
        "{error}"
    );
    std::fs::create_dir(files.path("directory.csv")).unwrap();
    let error = serve(&files.spec("directory.csv")).await.unwrap_err();
    assert!(
        error.to_string().ends_with("this is a directory, not a file"),
        "{error}"
    );
    assert_eq!(serve(&files.with("header.csv", REQUIRED)).await.unwrap(), []);
}

#[tokio::test]
async fn arbitrary_bytes_are_an_error_and_never_a_panic() {
    let files = Files::new();
    let mut state = 42_u64;
    for round in 0..64 {
        let bytes: Vec<u8> = (0..400)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        let mut content = if round % 2 == 0 {
            format!("{REQUIRED}\n").into_bytes()
        } else {
            Vec::new()
        };
        content.extend(bytes);
        assert!(serve(&files.with("noise.csv", content)).await.is_err());
    }
}
