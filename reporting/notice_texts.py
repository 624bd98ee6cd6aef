"""What notices say, in Japanese and English. `reporting.notices` puts the values in."""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str]] = {
    # --- before a run
    "one_side_only": (
        "{model} は片側({arms})だけなので、結果は示すが比較はしない。",
        "{model} has one side only ({arms}): it is shown, and not compared.",
    ),
    "nothing_compared": (
        "{model} では何も比較されない。得点は出るが、差と判定は出ない。{step}",
        "NOTHING IS COMPARED for {model}: there will be scores, but no difference and no verdict. {step}",
    ),
    "add_an_arm": (
        "比較するには、--quantizations に型を加えるか、--arm でファイルを加える。",
        "Add a type to --quantizations, or a file with --arm, to compare with it.",
    ),
    "add_a_reference": (
        "--quantizations に基準({types} のどれか)を加えるか、--reference で基準を指定する。",
        "Add a reference to --quantizations ({types}), or name one with --reference.",
    ),
    "nobody_judges": (
        "{benchmarks} の回答を採点する者がいない。回答は生成して保存するが、得点は出ない。採点するには、このコマンドに"
        " --judge-url と --judge-model を加えるか、後で python -m jobs.judge --run DIR に指定する。",
        "NOBODY JUDGES the answers of {benchmarks}: they are generated and kept, and have no scores. To score them, "
        "add --judge-url and --judge-model to this command, or give them later to python -m jobs.judge --run DIR.",
    ),
    "no_margin_for_judged": (
        "{benchmarks} は判定に使わず、得点と差だけを示す。判定に使うには、実行前に statistics.margins.judged"
        "(許容できる最大の低下、スケールの点数)を設定する。",
        "No verdict depends on {benchmarks}: scores and differences are shown. To have verdicts depend on them, set "
        "statistics.margins.judged before the run (the largest loss that is still small, in points of the scale).",
    ),
    "fewer_than_published": (
        "{benchmark} の公表されている得点は {n_published} 問によるが、この実行では {n_items} 問(データは全"
        " {n_total} 問)なので、それとは比較できない。アームどうしの比較は有効である。",
        "{benchmark}: published scores rest on {n_published} items, and this run has {n_items} (its data hold "
        "{n_total}), so its scores do not compare with them. The comparison of arms holds.",
    ),
    "judge_away": (
        "採点モデル {judge} が {address} で応答しない({error})。回答はいずれにせよ生成する。採点のときにも"
        "応答しなければ、後で同じコマンドを実行すると、回答を作り直さずに採点だけを行う。",
        "Judge {judge} does not answer at {address} ({error}). Answers are made in any case. If it still does not "
        "answer when they are to be judged, the same command later asks it, and makes no answer again.",
    ),
    "model_not_listed": (
        "採点モデル {judge}: {address} のサーバーのモデル一覧に {model} がない(一覧: {listed})。それでも {model} に"
        "採点を頼む。どの名前でも応答するサーバーがあるためである。",
        "Judge {judge}: the server at {address} lists no model {model}. It lists {listed}. It is asked for {model} all "
        "the same, because some servers answer to any name.",
    ),
    "unreadable_verdicts": (
        "採点モデル {judge}: {benchmark} の採点 {n_asked} 件のうち {n_unreadable} 件は、2 回頼んでも読み取れなかった。"
        "出力は report_data/judgements.parquet にある。途中で切れていれば judging.max_tokens を増やす。JSON でなければ"
        "別の採点モデルを使う。",
        "Judge {judge}: {n_unreadable} of {n_asked} verdicts on {benchmark} could not be read, although each was asked "
        "for twice. What it wrote is in report_data/judgements.parquet. If it was cut off, raise judging.max_tokens; "
        "if it wrote no JSON, take another judge.",
    ),
    "judge_context_short": (
        "採点モデル {judge} のコンテキストは {n_ctx} トークンだが、{benchmark} の採点には最大で約 {n_tokens} トークン"
        "(採点基準、問題、上限の長さの回答、採点結果)が必要になる。入りきらない回答は採点不能(judge_failed)になる。"
        "コンテキストの長い採点モデルを使うか、sampling.max_tokens または judging.max_tokens を減らす。",
        "Judge {judge} has a context of {n_ctx} tokens, and judging {benchmark} may take about {n_tokens}: the rubric, "
        "the question, an answer of full length, and the verdict. Answers that do not fit stay unscored "
        "(judge_failed). Take a judge with a longer context, or a smaller sampling.max_tokens or judging.max_tokens.",
    ),
    "earlier_judge": (
        "以前のコマンドで指定された採点モデル {judge} が採点を終えたのは、{benchmark} の回答 {n_answers} 件のうち"
        " {n_judged} 件である。途中のブロックの採点結果は保存されているが、集計に含めない。"
        "続けるには、同じ設定で再び指定する。",
        "Judge {judge} of an earlier command has judged {n_judged} of {n_answers} answers of {benchmark} in whole "
        "blocks. Verdicts in blocks that it did not finish are kept and do not count. Name it again, with the same "
        "settings, to go on.",
    ),
    "earlier_judges_without_blocks": (
        "以前のコマンドで指定された採点モデルのうち、1 ブロックも採点を終えていないものがある: {judges}。"
        "途中の採点結果は保存されているが、集計に含めない。続けるには、同じ設定で再び指定する。",
        "Judges of earlier commands that have finished no block: {judges}. What they have judged is kept and does not "
        "count. Name one again, with the same settings, to go on.",
    ),
    "judge_of_same_family": (
        "採点モデル {judge} は {models} と同じ系列({family})である。採点モデルは同じ系列の回答に甘くなることがある。"
        "同じモデルのアームどうしの差は、その影響を最も受けにくい。",
        "Judge {judge} is of the same family ({family}) as {models}: a judge may favour answers of its own family. "
        "Differences between arms of one model suffer least from it.",
    ),
    "texts_overlap": (
        "較正テキスト {text} は、{benchmark} と {n_shared} か所({words} 語または {characters} 文字の並び)で重なる"
        "(例: '{example}')。--allow-overlap が指定されたため、そのまま使った。",
        "Calibration text {text} shares passages of {words} words or {characters} characters with {benchmark} "
        "({n_shared} in all, for example '{example}'); --allow-overlap was given.",
    ),
    "system_message_moved": (
        "{owner} のチャットテンプレートはシステムメッセージを受け付けないため、その文章を最初の発話の前に置く。",
        "The chat template of {owner} takes no system message: its text goes in front of the first user turn.",
    ),
    "no_likelihoods": (
        "{arm} はエンドポイントであり、エンドポイントは尤度を返さない。{benchmarks} は採点しない。",
        "{arm} is an endpoint, and endpoints return no likelihoods. Not scored there: {benchmarks}.",
    ),
    "memory_not_forked": (
        "{model}({architecture})のメモリは分岐できないため、どのプロンプトも全体をデコードする。",
        "{model} ({architecture}) has memory that cannot be forked: every prompt is decoded in full.",
    ),
    "differs_beside_weights": (
        "アーム {arm} は、重みのほかにも {model} と異なる({what})。差の一部はそのためかもしれない。",
        "Arm {arm} differs from {model} in more than its weights ({what}): part of any difference may come from that.",
    ),
    "other_tokenizer": ("トークナイザー", "another tokenizer"),
    "other_special_tokens": ("特殊トークン", "other special tokens"),
    "other_chat_template": ("チャットテンプレート", "another chat template"),
    "no_chat_template": ("チャットテンプレートがない", "no chat template"),
    "other_space_prefix": ("プロンプトの前の空白", "another space in front of prompts"),
    "other_end_token": ("プロンプトの後の終了トークン", "another end token behind prompts"),
    "other_token_scores": ("トークンのスコア", "other scores of tokens"),
    "other_token_types": ("トークンの種類", "other types of tokens"),
    "may_think": (
        "{model} は、チャットに答える前に、1 回答につき最大 {tokens} トークンまで思考することがある。"
        "テンプレートが対応していれば chat.{model}.thinking: off で止められる。"
        "上限は chat.{model}.thinking_tokens で設定する。",
        "{model} may think before it answers a chat, for up to {tokens} tokens an answer. chat.{model}.thinking: off "
        "switches it off if the template can, chat.{model}.thinking_tokens sets the budget.",
    ),
    # --- the history of looks
    "damaged_look": (
        "{path} が壊れているため、そこに記録された評価は回数に数えない。ファイルを削除すること。",
        "{path} is damaged, so the look that it tells of is not counted. Delete the file.",
    ),
    "early_stop_before": (
        "この実行は以前 --early-stop で始められた。ここでの区間はそれを考慮していない。そのときに見た結果を理由に"
        "続けたのであれば、区間は狭すぎる。",
        "This run was started with --early-stop before. The intervals here do not allow for that: they are too narrow "
        "if you went on because of the results that you saw then.",
    ),
    "benchmarks_left_out": (
        "{before} は以前に評価されたが、この実行には含まれない。判定は {now} だけによる。",
        "Evaluated before, and left out of this run: {before}. Its verdicts go by {now} only.",
    ),
    "score_changed": (
        "{benchmarks} の判定に使う指標が、評価の開始後({day} UTC、それまでに{looks})に {before} から"
        " {now} に変更された。別の指標では、同じ問題の評価から新しい判定はできない。",
        "The score that the verdict goes by was changed from {before} to {now} after the evaluation had begun ({day} "
        "UTC; {looks} before): {benchmarks}. By another score, looks at the same items can claim nothing new.",
    ),
    "rule_changed": (
        "{benchmarks} の{rule}が、評価の開始後({day} UTC、それまでに{looks})に {before} から {now} に変更された。",
        "The {rule} was changed from {before} to {now} after the evaluation had begun ({day} UTC; {looks} "
        "before): {benchmarks}.",
    ),
    "one_look": ("評価 1 回", "1 look"),
    "several_looks": ("評価 {n} 回", "{n} looks"),
    "own_metric": ("ベンチマーク本来の指標", "the benchmark's own metric"),
    "tier": ("扱い(tier)", "tier"),
    "mean_over_benchmarks": ("平均の対象と重み", "mean over benchmarks"),
    "margin_of": ("許容幅 {name} ", "margin {name}"),
    "none": ("なし", "none"),
    # --- while a run works
    "cache_limit": (
        "KV キャッシュを {mib} MiB に抑えた。llama.cpp がそれ以上のメモリを確保できなかったためである。",
        "KV caches are kept within {mib} MiB: llama.cpp got no memory for more.",
    ),
    "device_share": (
        "llama.cpp がそれ以上のメモリーを得られなかったため、デバイスのメモリーは {percent}% までしか使わない。",
        "Devices are filled to {percent}% of their memory at most: llama.cpp got no memory for more.",
    ),
    "own_device_share": (
        "{load} に使うデバイスのメモリーは {percent}% までに抑えた。llama.cpp がそれ以上のメモリーを確保できなかった"
        "ためである。",
        "{load}: fills devices to {percent}% of their memory at most, because llama.cpp got no memory for more.",
    ),
    "own_cache_limit": (
        "{load} の KV キャッシュは {mib} MiB までに抑えた。llama.cpp がそれ以上のメモリーを確保できなかったため"
        "である。",
        "{load}: its KV cache is kept within {mib} MiB, because llama.cpp got no memory for more.",
    ),
    "in_text_benchmarks": ("テキストのベンチマークでの {arm}", "{arm} in text benchmarks"),
    "matrix_of": ("{model} の重要度行列", "the importance matrix of {model}"),
    "gets_own_card": (
        "{unit} は、ほかのモデルと同じ GPU ではメモリーが足りなかったため、GPU を 1 枚占有して実行し直す。",
        "{unit} found no memory beside others on one GPU and gets a GPU of its own.",
    ),
    "node_lost": (
        "{error}。その作業は別のノードで続ける。",
        "{error}. Its work goes on elsewhere.",
    ),
    "no_layer_on_devices": (
        "{arms} は CPU で実行する。このうち、デバイスに 1 層も載らないものがあるためである。",
        "{arms}: decoded on the CPU, because the devices hold no layer of some of them.",
    ),
    "partly_on_devices": (
        "{load} は全 {all_layers} 層のうち {layers} 層だけが {n_devices} 台の {kind} に載る。残りは CPU で計算する"
        "ため、何倍も時間がかかる。",
        "{load}: only {layers} of {all_layers} layers fit on {n_devices} x {kind}. The CPU decodes the others, which "
        "takes many times as long.",
    ),
    "crowded_devices": (
        "{host}: ほかのプログラムが {kind} を使っている(空き {free} / {total} GiB)。計画は全容量を前提とする。"
        "それらを止めないと、メモリー不足で作業が失敗することがある。",
        "{host}: other programs use the {kind}: {free} of {total} GiB are free. The plan counts with all of it: stop "
        "them, or work may fail because memory runs out.",
    ),
    "node_blind": (
        "{host} からは {paths} が見えない。そこには作業を割り当てない。直してから、もう一度始めること。",
        "{host} does not see {paths}. No work is placed there; put it right, and start again.",
    ),
    "node_silent": (
        "{host} の情報を読み取れない({reason})。そこには作業を割り当てない。直してから、もう一度始めること。",
        "{host} told nothing about itself: {reason}. No work is placed there; put it right, and start again.",
    ),
    "cards_unused": (
        "{host} には {gpus}があるが({driver})、llama.cpp は CPU 用にビルドされている。"
        "{host} で `CMAKE_ARGS=auto make setup` を実行すると、GPU 用にビルドし直す。足りないものがあれば表示する。",
        "{host} has {gpus} ({driver}), but llama.cpp was built for the processor there. `CMAKE_ARGS=auto make setup`, "
        "run there, builds it for them, or says what is missing for that.",
    ),
    "one_gpu": ("NVIDIA の GPU 1 基", "1 NVIDIA GPU"),
    "several_gpus": ("NVIDIA の GPU {n} 基", "{n} NVIDIA GPUs"),
    "backend_not_started": (
        "{host} の llama.cpp は CUDA 用にビルドされているが、CUDA を起動できない({said}。ドライバー: {driver})。"
        "ビルドに使った CUDA がドライバーの CUDA より新しければ、ドライバーを更新するか、古い CUDA toolkit で "
        "make setup をやり直す。そうでなければ CUDA_VISIBLE_DEVICES を確認する。",
        "llama.cpp on {host} was built for CUDA and cannot start it ({said}; driver: {driver}). If it was built with a "
        "newer CUDA than the driver's, update the driver, or run `make setup` with an older CUDA toolkit. If not, look "
        "at CUDA_VISIBLE_DEVICES.",
    ),
    "driver_does_not_tell": (
        "{host} では NVIDIA のドライバーが読み込まれているが({driver})、GPU の情報を返さない({fault})。"
        "{host} で nvidia-smi を実行して、すべての GPU が表示されるようにすること。",
        "The NVIDIA driver of {host} is loaded ({driver}) and does not tell its GPUs ({fault}). Run nvidia-smi there: "
        "it must show them all.",
    ),
    "uncounted_devices": (
        "{host} にはデバイスが {n} 基あるが、Ray はそれを認識していないため、そこではモデルを CPU で実行する。"
        "{host} の Ray を --num-gpus {n} を付けて起動すること。",
        "{host} has devices ({n}) that Ray does not count, so models run on the CPU there. Start Ray on it with "
        "--num-gpus {n}.",
    ),
    "gpus_without_devices": (
        "{host} では Ray が GPU {n} 基を割り当てられるが、llama.cpp から使えるデバイスがないため、モデルを CPU で"
        "実行する。llama.cpp をその GPU 用にビルドし直す(CMAKE_ARGS を付けた make setup)。",
        "{host}: Ray has GPUs to give away ({n}), but llama.cpp has no devices there, so models run on the CPU. Build "
        "llama.cpp for these GPUs on it (make setup, with CMAKE_ARGS).",
    ),
    "builds_differ": (
        "ノードによってビルドかプロセッサーが異なる({builds})。どのノードが作業するか分からないため、キーにはすべてを記す。"
        "数値の末尾の桁はノードによって変わることがある。",
        "The nodes have different builds or processors ({builds}). Keys name all of them, because any may do the work; "
        "the last bits of numbers may depend on the node.",
    ),
    "no_room_for_thoughts": (
        "{benchmark} の {n_items} 問のうち {n} 問は採点されない。思考に {tokens} トークンを取ると、{n_ctx} トークンの"
        "文脈に収まらない。{key}: {largest} にすればすべて収まる。",
        "{n} of {n_items} items of {benchmark} stay unscored: thoughts of {tokens} tokens leave them no room in the "
        "context of {n_ctx} tokens. {key}: {largest} leaves room for all of them.",
    ),
    "thought_though_off": (
        "{arm} には思考しないよう指定したが、チャットの回答 {n_answers} 件のうち {n} 件に思考がある。{why}",
        "{arm} was told not to think, but {n} of its {n_answers} answers to chats have thoughts before them. {why}",
    ),
    "thought_not_though_on": (
        "{arm} には思考するよう指定したが、チャットの回答 {n_answers} 件のどれにも思考が見られない。{why}",
        "{arm} was told to think, but none of its {n_answers} answers to chats shows thoughts. {why}",
    ),
    "server_may_ignore": (
        "サーバーがこの指定を無視することがある。思考の切り替え方はサーバーの説明書で確かめる。",
        "Its server may ignore that: see how it switches thinking.",
    ),
    "server_may_hide": (
        "サーバーがこの指定を無視するか、思考を返していない可能性がある。",
        "Its server may ignore that, or hide the thoughts.",
    ),
    "model_may_not_follow": (
        "モデルがこの指定に従わないことがある。",
        "The model may not follow that.",
    ),
    "failed_once": (
        "{unit} は一度失敗し、やり直す: {error}",
        "{unit} failed once and is tried again: {error}",
    ),
    "call_limit": (
        "採点の呼び出し上限(judging.max_calls)に達した。まだ採点していない回答は採点不能(call_limit)となる。"
        "同じコマンドで残りを続けられ、済んだ採点は繰り返さない。",
        "The limit of calls (judging.max_calls) is reached. What is not judged yet is unscored (call_limit); the same "
        "command goes on with the rest, and asks nothing twice.",
    ),
    # --- results
    "one_number": (
        "{benchmark}: 評価関数が 1 つの数だけを返すため、その不確かさは分からない。参考として示し、判定には使わない。"
        "問題ごとの得点を返せば、判定に使う。",
        "{benchmark}: its function returns one number, whose uncertainty is unknown. It informs only: verdicts leave "
        "it out. If it returns a score for each item, it counts.",
    ),
    "planned_sets_differ": (
        "{benchmark} では {arm} を {reference} と比較しない。計画した問題が異なるためである。",
        "{arm} is not compared with {reference} on {benchmark}: they were planned on different items.",
    ),
    "few_sources": (
        "{benchmark}、{arm}: すべての問題が {n_sources} 個の出典によるものである。出典ごとの区間と検定は、"
        "{n_reliable} 個以上の出典がないと当てにならない。",
        "{benchmark}, {arm}: all items come from {n_sources} sources. Intervals and tests by source are reliable from "
        "{n_reliable} sources on.",
    ),
    "uneven_means": (
        "{benchmark}: 早期終了によってアームごとに評価を終えたため、平均は異なる問題によるものである"
        "(問題数: {counts})。アームは、同じ問題で対応をとった差で比べること。",
        "{benchmark}: the means of the arms cover different items, because early stop ended them one by one ({counts} "
        "items). Compare arms by their differences, which are paired on the same items.",
    ),
    "no_categories": (
        "カテゴリーができる前の結果なので、カテゴリー別の平均は示さない。",
        "The results were made before benchmarks had categories, so no means by category are shown.",
    ),
    "missing_beside_results": (
        "結果フォルダーに {file} がないため、{what}。",
        "{file} is missing from the results folder, so {what}.",
    ),
    "no_differences_shown": ("基準との差は示さない", "no differences from a reference are shown"),
    "no_answers_shown": ("回答は示さない", "no answers are shown"),
    "no_lengths_drawn": ("長さの図は描かない", "no lengths are drawn"),
    "no_questions_shown": ("問題は示さない", "no questions are shown"),
    "no_importance_drawn": ("重要度行列の図は描かない", "no importance matrix is drawn"),
    "no_losses_drawn": ("層ごとの誤差の図は描かない", "the error by layer is not drawn"),
    # --- charts and documents
    "figure_missing": (
        "{name}.png がないため、その図を省いた。jobs.visualize で描ける。",
        "{name}.png is missing, so its figure is left out; jobs.visualize draws it.",
    ),
    "differences_not_drawn": (
        "基準との差を求められたアームがないため、差の図を省いた。",
        "No arm has a difference from a reference, so the chart of differences is left out.",
    ),
    "divergence_not_drawn": (
        "基準からの乖離を測っていないため、乖離とサイズの図を省いた。",
        "No divergence from a reference was measured, so the chart of divergence against size is left out.",
    ),
    "memory_not_drawn": (
        "メモリを計測していないため、メモリと性能の図を省いた。",
        "Memory was not measured, so the chart of memory against performance is left out.",
    ),
    "speed_not_drawn": (
        "1トークンあたりの時間を計測していないか、計測中にほかのプログラムがマシンを使っていたため、"
        "時間と性能の図を省いた。",
        "Time per token was not measured, or only while other programs used the machine, so the chart of time against "
        "performance is left out.",
    ),
    "file_not_published": (
        "{source} が結果に記された場所にないため、{folder}/ には {name} がない。",
        "{source} is not where the results say, so {folder}/ does not contain {name}.",
    ),
}
"""Code -> Japanese and English, with placeholders for the values."""
