"""The words of the progress screen, each in Japanese and English.

`ps/QuantAssay/texts.json` holds the same words for PowerShell; `tests/monitor/test_texts.py` compares the two.
"""

from __future__ import annotations

CLOSING = "、。」』】）)"
"""Characters that may not begin a line."""

WORDS = {
    "title": ("GGUF量子化評価パイプライン", "GGUF quantization pipeline"),
    "phase": ("フェーズ: {}", "Phase: {}"),
    "cells": ("セル {}/{}", "cells {}/{}"),
    "failed": ("失敗 {}", "failed {}"),
    "job": ("ジョブ", "job"),
    "process": ("プロセス {}", "process {}"),
    "arms": ("アーム", "arms"),
    "benchmarks": ("ベンチマーク", "benchmarks"),
    "node": ("ノード {}", "node {}"),
    "cpu": ("CPU {}%", "CPU {}%"),
    "memory": ("メモリ {}", "memory {}"),
    "elapsed": ("経過 {}", "elapsed {}"),
    "left": ("推定残り時間 {}", "about {} left"),
    "left_unknown": ("推定残り時間 計算中", "time left: not known yet"),
    "attempts": ("再開 {} 回", "resumed {} times"),
    "attempts_once": ("再開 1 回", "resumed once"),
    "more": ("ほか {} 件", "{} more"),
    "more_nodes": ("ほか {} ノード", "{} more nodes"),
    "state": ("状態: {}", "State: {}"),
}
PHASES = {
    "plan": ("計画", "planning"),
    "imatrix": ("重要度行列", "importance matrix"),
    "quantize": ("量子化", "quantizing"),
    "evaluate": ("統計的評価", "evaluating"),
    "judge": ("採点", "judging"),
    "statistics": ("統計", "statistics"),
    "charts": ("グラフ", "charts"),
    "documents": ("文書", "documents"),
    "done": ("完了", "done"),
}
STATES = {
    "pending": ("開始待ち", "waiting to start"),
    "running": ("実行中", "running"),
    "done": ("完了", "done"),
    "failed": ("失敗", "failed"),
    "stopped": ("停止", "stopped"),
    "unknown": ("不明", "unknown"),
}
PROBLEMS = {
    "dashboard_unreachable": (
        "ダッシュボードに接続できない。アドレス、起動状態、SSHトンネルを確認すること。",
        "The dashboard does not answer. Check the address, whether it runs, and the tunnel to it.",
    ),
    "dashboard_timed_out": (
        "ダッシュボードが時間内に応答しない。再試行する。",
        "The dashboard does not answer in time. Trying again.",
    ),
    "token_missing": (
        "トークンが必要である(RAY_AUTH_TOKEN または ~/.ray/auth_token)。",
        "A token is needed (RAY_AUTH_TOKEN or ~/.ray/auth_token).",
    ),
    "token_wrong": (
        "トークンが無効である。クラスターのトークンを確認すること。",
        "The token is refused. Check it against the cluster's token.",
    ),
    "too_many_requests": (
        "要求が多すぎると拒否された。間隔を延ばして続ける。",
        "The dashboard is asked too often. Going on more slowly.",
    ),
    "no_dashboard": (
        "このアドレスの応答は Ray ダッシュボードのものではない。",
        "What answers at this address is no Ray dashboard.",
    ),
    "log_gone": (
        "ログのあるノードに到達できないため、進捗を読めない。",
        "The node with the log is away, so its progress cannot be read.",
    ),
    "dashboard_error": (
        "ダッシュボードでエラーが発生した。再試行する。",
        "The dashboard reports an error. Trying again.",
    ),
    "no_such_pipeline": (
        "この ID のパイプラインはない。",
        "There is no pipeline with this id.",
    ),
    "not_started": (
        "ジョブはまだ開始していない(空きを待っている)。",
        "The job has not started yet: it waits for room on the cluster.",
    ),
    "no_progress_yet": (
        "進捗はまだ出力されていない。",
        "No progress has been printed yet.",
    ),
}
"""Code -> what is wrong, in Japanese and English."""
