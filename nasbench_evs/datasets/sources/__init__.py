"""Where datasets come from: one module per publisher, each turning raw files into `prepare.Raw`."""

from nasbench_evs.datasets.sources.abank import ABANK
from nasbench_evs.datasets.sources.age import AGE
from nasbench_evs.datasets.sources.amex import AMEX
from nasbench_evs.datasets.sources.bpic2012 import BPIC2012
from nasbench_evs.datasets.sources.credit_default import CREDIT_DEFAULT
from nasbench_evs.datasets.sources.football import FOOTBALL_NEXT, FOOTBALL_SHOT
from nasbench_evs.datasets.sources.online_retail import ONLINE_RETAIL
from nasbench_evs.datasets.sources.oulad import OULAD
from nasbench_evs.datasets.sources.physionet2012 import PHYSIONET2012
from nasbench_evs.datasets.sources.rbchurn import RBCHURN
from nasbench_evs.datasets.sources.source import Source
from nasbench_evs.datasets.sources.synthetic import SYNTHETIC
from nasbench_evs.datasets.sources.tafeng import TAFENG_AGE, TAFENG_CHURN
from nasbench_evs.datasets.sources.taobao import TAOBAO
from nasbench_evs.datasets.sources.vbank import VBANK

__all__ = ["SOURCES", "Source"]

SOURCES: dict[str, Source] = {
    source.rules.name: source
    for source in (
        TAFENG_CHURN,
        TAFENG_AGE,
        PHYSIONET2012,
        BPIC2012,
        CREDIT_DEFAULT,
        ONLINE_RETAIL,
        OULAD,
        FOOTBALL_NEXT,
        FOOTBALL_SHOT,
        RBCHURN,
        AGE,
        ABANK,
        VBANK,
        AMEX,
        TAOBAO,
        SYNTHETIC,
    )
}
