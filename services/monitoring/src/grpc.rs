//! The adapter: wire types in, domain types out.

mod convert;

use holdfast_api::monitoring::v1 as wire;
use holdfast_api::monitoring::v1::monitoring_service_server::MonitoringService;
use holdfast_chassis::Fault;
use holdfast_chassis::clock::Clock;
use holdfast_domain::ModelName;
use std::sync::Arc;
use tonic::{Request, Response, Status};

use crate::error::{Error, Violation};
use crate::service::checks::DriftChecks;
use crate::service::outcomes::Outcomes;
use crate::service::report::Verdict;
use crate::service::reports::Reports;
use crate::service::retraining::Retrainer;

const DEFAULT_PAGE: usize = 20;
const LARGEST_PAGE: u32 = 1_000;

/// Who asks for retraining when the caller does not say.
const NOBODY_NAMED: &str = "monitoring";

/// `MonitoringService` over the logic.
#[derive(Clone, Debug)]
pub(crate) struct MonitoringAdapter {
    pub(crate) default_model: ModelName,
    pub(crate) checks: DriftChecks,
    pub(crate) outcomes: Outcomes,
    pub(crate) reports: Reports,
    pub(crate) retrainer: Retrainer,
    pub(crate) clock: Arc<dyn Clock>,
}

impl MonitoringAdapter {
    fn model(&self, name: &str) -> Result<ModelName, Status> {
        match name {
            "" => Ok(self.default_model.clone()),
            name => ModelName::parse(name).map_err(|invalid| status(invalid.into())),
        }
    }

    /// Asks for retraining as a part of a check. The report is stored whatever comes of it, so that a failure is an answer and not an error.
    async fn retrain(&self, report_id: &str) -> (String, String) {
        match self.retrainer.trigger(report_id, NOBODY_NAMED).await {
            Ok(retraining) => (retraining.run_id, String::new()),
            Err(error) => {
                let fault = Fault::from(error);
                tracing::warn!(report_id, code = %fault.code, reason = %fault.reason, error = fault.message, "retraining was not started");
                (String::new(), fault.message)
            }
        }
    }
}

#[tonic::async_trait]
impl MonitoringService for MonitoringAdapter {
    async fn record_outcomes(
        &self,
        request: Request<wire::RecordOutcomesRequest>,
    ) -> Result<Response<wire::RecordOutcomesResponse>, Status> {
        let request = request.into_inner();
        let outcomes = convert::outcomes_in(&request.outcomes).map_err(status)?;
        let recorded = self
            .outcomes
            .record(&outcomes, &request.idempotency_key)
            .await
            .map_err(status)?;
        Ok(Response::new(wire::RecordOutcomesResponse { recorded }))
    }

    async fn check_drift(
        &self,
        request: Request<wire::CheckDriftRequest>,
    ) -> Result<Response<wire::CheckDriftResponse>, Status> {
        let request = request.into_inner();
        let model = self.model(&request.model)?;
        let window = request.window.map(convert::window_in).transpose().map_err(status)?;
        let report = self.checks.check(&model, window).await.map_err(status)?;
        let (run_id, retrain_skipped) = match (request.retrain, report.verdict) {
            (false, _) => Default::default(),
            (true, Verdict::Stable) => (String::new(), "the window is stable".to_owned()),
            (true, Verdict::Drift) => self.retrain(&report.report_id).await,
        };
        Ok(Response::new(wire::CheckDriftResponse {
            report: Some(convert::report_out(&report)),
            run_id,
            retrain_skipped,
        }))
    }

    async fn get_report(
        &self,
        request: Request<wire::GetReportRequest>,
    ) -> Result<Response<wire::GetReportResponse>, Status> {
        let report = self
            .reports
            .get(&request.into_inner().report_id)
            .await
            .map_err(status)?;
        Ok(Response::new(wire::GetReportResponse {
            report: Some(convert::report_out(&report)),
        }))
    }

    async fn list_reports(
        &self,
        request: Request<wire::ListReportsRequest>,
    ) -> Result<Response<wire::ListReportsResponse>, Status> {
        let request = request.into_inner();
        let model = self.model(&request.model)?;
        let count = match request.page_size {
            0 => DEFAULT_PAGE,
            size if size > LARGEST_PAGE => {
                let allowed = "must be 0 (the default, 20) to 1,000";
                return Err(status(Violation::new("page_size", "above_maximum", allowed).into()));
            }
            size => size as usize,
        };
        let reports = self
            .reports
            .newest(&model, count, self.clock.now())
            .await
            .map_err(status)?;
        Ok(Response::new(wire::ListReportsResponse {
            reports: reports.iter().map(convert::report_out).collect(),
        }))
    }

    async fn trigger_retraining(
        &self,
        request: Request<wire::TriggerRetrainingRequest>,
    ) -> Result<Response<wire::TriggerRetrainingResponse>, Status> {
        let request = request.into_inner();
        let requested_by = match request.requested_by.trim() {
            "" => NOBODY_NAMED,
            name => name,
        };
        let retraining = self
            .retrainer
            .trigger(&request.report_id, requested_by)
            .await
            .map_err(status)?;
        Ok(Response::new(wire::TriggerRetrainingResponse {
            run_id: retraining.run_id,
            window_snapshot: retraining.window_snapshot.to_string(),
            labelled_rows: retraining.labelled_rows,
        }))
    }
}

fn status(error: Error) -> Status {
    Fault::from(error).into()
}
