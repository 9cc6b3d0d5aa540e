//! SQLite: tables and views, storage classes, and a database that stays untouched.

use holdfast_domain::{Feature, Schema};
use holdfast_sources::{SourceSpec, TableName, write};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::support::{Files, customers, problems, serve, train};

async fn execute(files: &Files, name: &str, statements: &[&str]) {
    let options = SqliteConnectOptions::new()
        .filename(files.path(name))
        .create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    for statement in statements {
        sqlx::query(AssertSqlSafe(*statement))
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection.close().await.unwrap();
}

const ROW: &str = "SELECT 5 AS Total_Relationship_Count, '12691' AS Credit_Limit, 777.0 AS Total_Revolving_Bal, 1.335 AS Total_Amt_Chng_Q4_Q1, 1144 AS Total_Trans_Amt, 42 AS Total_Trans_Ct, 1.625 AS Total_Ct_Chng_Q4_Q1, 0.061 AS Avg_Utilization_Ratio";

#[tokio::test]
async fn what_is_written_reads_back_the_same_in_the_same_order() {
    let files = Files::new();
    let customers = customers(2_345);
    let spec = files.spec("bank.db");
    write(&spec, &customers, Schema::embedded()).await.unwrap();
    assert_eq!(train(&spec).await.unwrap(), customers);
}

#[tokio::test]
async fn a_second_table_goes_beside_the_first_and_none_is_overwritten() {
    let files = Files::new();
    let customers = customers(60);
    let first = files.spec("bank.db");
    let second = SourceSpec::Sqlite {
        path: files.path("bank.db"),
        table: TableName::parse("newer").unwrap(),
    };
    write(&first, &customers, Schema::embedded()).await.unwrap();
    write(&second, &customers[..30], Schema::embedded()).await.unwrap();
    let error = write(&second, &customers, Schema::embedded()).await.unwrap_err();
    assert!(error.to_string().contains("has a table newer already"), "{error}");
    assert_eq!(train(&second).await.unwrap(), customers[..30]);
    assert_eq!(train(&first).await.unwrap(), customers);
}

#[tokio::test]
async fn views_and_every_storage_class_are_read_by_column_name() {
    let files = Files::new();
    let view = format!(
        "CREATE VIEW customers AS {ROW}, NULL AS Gender, 'Gold' AS Card_Category, 17 AS CLIENTNUM, 1 AS Naive_Bayes_1"
    );
    execute(&files, "bank.db", &[&view]).await;
    let read = serve(&files.spec("bank.db")).await.unwrap();
    assert_eq!(read[0].key.unwrap().0, 17);
    assert_eq!(read[0].features.get(Feature::CreditLimit), Some(12_691.0));
    assert_eq!(read[0].features.get(Feature::CardCategory), Some(2.0));
    assert_eq!(read[0].features.get(Feature::Gender), None);
}

#[tokio::test]
async fn bad_values_are_named_by_row_column_and_rule() {
    let files = Files::new();
    let table = format!("CREATE TABLE customers AS {ROW}, x'00ff' AS Gender");
    let insert = format!("INSERT INTO customers {ROW}, 'F'");
    let update = "UPDATE customers SET Total_Trans_Ct = 0.5, Credit_Limit = NULL WHERE Gender = 'F'";
    execute(&files, "bank.db", &[&table, &insert, update]).await;
    let error = serve(&files.spec("bank.db")).await.unwrap_err();
    let expected = [
        (Some(1), "Gender", "encoding"),
        (Some(2), "Total_Trans_Ct", "not_integer"),
        (Some(2), "Credit_Limit", "required"),
    ];
    assert_eq!(problems(&error), expected);
}

#[tokio::test]
async fn an_absent_table_is_answered_with_those_that_are_there() {
    let files = Files::new();
    execute(
        &files,
        "bank.db",
        &["CREATE TABLE clients (a)", "CREATE TABLE accounts (a)"],
    )
    .await;
    let error = serve(&files.spec("bank.db")).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has no table customers; it has: accounts, clients; choose one with ?table=NAME"),
        "{error}"
    );
    execute(&files, "none.db", &["CREATE TABLE a (a)", "DROP TABLE a"]).await;
    let error = serve(&files.spec("none.db")).await.unwrap_err();
    assert!(error.to_string().contains("it has no tables at all"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let files = Files::new();
    let error = serve(&files.with("bank.db", "CLIENTNUM,Gender\n".repeat(200)))
        .await
        .unwrap_err();
    assert!(error.to_string().ends_with("it is not an SQLite database"), "{error}");
}

#[tokio::test]
async fn reading_makes_and_changes_nothing() {
    let files = Files::new();
    let error = serve(&files.spec("absent.db")).await.unwrap_err();
    assert!(error.to_string().contains("there is no such file"), "{error}");
    assert!(!files.path("absent.db").exists());

    write(&files.spec("bank.db"), &customers(60), Schema::embedded())
        .await
        .unwrap();
    let before = std::fs::read(files.path("bank.db")).unwrap();
    train(&files.spec("bank.db")).await.unwrap();
    assert_eq!(std::fs::read(files.path("bank.db")).unwrap(), before);
}

#[tokio::test]
async fn database_servers_are_refused_in_words_that_help() {
    for url in [
        "mysql://app:s3cret@db/bank?table=customers",
        "postgres://app:s3cret@db/bank",
    ] {
        let spec = SourceSpec::parse(url).unwrap();
        let error = serve(&spec).await.unwrap_err().to_string();
        assert!(
            error.contains("server is not built in yet; what works is a .csv"),
            "{error}"
        );
        assert!(!error.contains("s3cret"), "{error}");
        let error = write(&spec, &[], Schema::embedded()).await.unwrap_err().to_string();
        assert!(
            error.contains("can be written to a .csv file") && !error.contains("s3cret"),
            "{error}"
        );
    }
}
