//! What it was trained and tested on.

use holdfast_domain::Digest;
use holdfast_records::snapshot::SnapshotManifest;

use super::{NOT_RECORDED, moment, recorded};
use crate::service::figures::{count, percent};
use crate::service::model_card::CardFacts;
use crate::service::model_card::document::{Line, Section, Table};

pub(super) fn section(facts: &CardFacts) -> Section {
    let mut section = Section::new("Data");
    let snapshots = &facts.version.snapshots;
    let sides = [
        Side::new(snapshots.training, facts.training.as_ref()),
        Side::new(snapshots.test, facts.test.as_ref()),
    ];
    let mut table = Table::new(["fact", "training rows", "test rows"]);
    let mut row = |name: &str, of: &dyn Fn(&Side<'_>) -> Line| {
        table.row([name.into(), of(&sides[0]), of(&sides[1])]);
    };
    row("snapshot (SHA-256)", &|side| {
        side.digest.map_or_else(|| NOT_RECORDED.into(), Line::code)
    });
    row("customers", &|side| side.known(|manifest| count(manifest.rows).into()));
    row("of whom left", &|side| side.known(left));
    row("read from", &|side| side.known(|manifest| recorded(&manifest.source)));
    row("how", &|side| {
        side.known(|manifest| recorded(manifest.query_or_window.as_deref().unwrap_or("as it was")))
    });
    row("schema (SHA-256)", &|side| {
        side.known(|manifest| Line::code(manifest.schema_digest))
    });
    row("taken", &|side| {
        side.known(|manifest| moment(Some(manifest.created_at)))
    });
    row("made of snapshots", &|side| side.known(parents));
    section.table(table);
    if !facts.parents.is_empty() {
        section.table(sources(&facts.parents));
    }
    if sides
        .iter()
        .any(|side| side.digest.is_some() && side.manifest.is_none())
    {
        section.notice("A snapshot named here is no longer in the blob store.");
    }
    section.text(
        "A snapshot never changes: its name is the digest of its bytes. No customer of the test rows is among the training rows. Threshold and calibration \
         were chosen on training rows alone.",
    );
    section
}

/// Where the rows come from in the end.
fn sources(parents: &[SnapshotManifest]) -> Table {
    let mut table = Table::new([
        "made of snapshot (SHA-256)",
        "read from",
        "customers",
        "of whom left",
        "taken",
    ]);
    for parent in parents {
        table.row([
            Line::code(parent.digest),
            recorded(&parent.source),
            count(parent.rows).into(),
            left(parent),
            moment(Some(parent.created_at)),
        ]);
    }
    table
}

struct Side<'a> {
    digest: Option<Digest>,
    manifest: Option<&'a SnapshotManifest>,
}

impl<'a> Side<'a> {
    fn new(digest: Option<Digest>, manifest: Option<&'a SnapshotManifest>) -> Self {
        Self { digest, manifest }
    }

    fn known(&self, of: impl Fn(&SnapshotManifest) -> Line) -> Line {
        self.manifest.map_or_else(|| NOT_RECORDED.into(), of)
    }
}

fn left(manifest: &SnapshotManifest) -> Line {
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    let share = manifest.positives as f64 / manifest.rows.max(1) as f64;
    format!("{} ({})", count(manifest.positives), percent(share)).into()
}

fn parents(manifest: &SnapshotManifest) -> Line {
    if manifest.parents.is_empty() {
        return "none".into();
    }
    let mut line = Line::default();
    for (place, parent) in manifest.parents.iter().enumerate() {
        if place > 0 {
            line = line.and(", ");
        }
        line = line.and_code(parent);
    }
    line
}
